// Package history reads what people typed: shell histories, with or without time
// stamps, and typescripts of script(1).
package history

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
	"github.com/culprit-dev/culprit/parsers/internal/stamp"
)

// Parser reads shell histories and typescripts.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "history",
		Doc:   "Commands that a person ran: shell histories (bash, zsh, fish) and typescripts.",
		Emits: []fact.Kind{fact.CommandRun{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

func sniff(h analyze.Head) analyze.Match {
	named := historyName(h.Path)
	stamps, zsh, prompts, total := 0, 0, 0, 0
	fish := bytes.HasPrefix(h.Bytes, []byte("- cmd: "))
	for line := range bytes.Lines(h.Bytes) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			continue
		}
		if bytes.IndexByte(line, 0) >= 0 {
			return analyze.No
		}
		total++
		if _, ok := bashStamp(line); ok {
			stamps++
		}
		if _, _, ok := zshLine(line); ok {
			zsh++
		}
		if _, ok := prompt(line); ok {
			prompts++
		}
	}
	switch {
	case total == 0:
		return analyze.No
	case fish, zsh*2 > total, bytes.HasPrefix(h.Bytes, []byte("Script started on ")):
		return analyze.Sure
	case stamps > 0 && stamps*3 >= total:
		return analyze.Sure
	case named && (prompts > 0 || !typescriptName(h.Path)):
		return analyze.Probably
	}
	return analyze.No
}

func historyName(p string) bool {
	base := strings.ToLower(path.Base(p))
	return strings.Contains(base, "_history") || strings.Contains(base, "history_") || base == "history" || base == "history.txt" || typescriptName(p)
}

func typescriptName(p string) bool {
	return strings.Contains(strings.ToLower(path.Base(p)), "typescript")
}

// user is who a history belongs to, where the file's name or folder says so:
// bash_history_liwei, home/liwei/.bash_history, liwei_session.typescript.
func user(p string) string {
	base := strings.TrimPrefix(path.Base(p), ".")
	for _, ext := range []string{".txt", ".log", ".typescript"} {
		base = strings.TrimSuffix(base, ext)
	}
	if _, after, ok := strings.Cut(base, "history_"); ok {
		return after
	}
	if typescriptName(p) {
		before, _, ok := strings.Cut(base, "_session")
		if ok {
			return before
		}
		return ""
	}
	dir := path.Dir(p)
	switch {
	case path.Base(dir) == "root":
		return "root"
	case path.Base(path.Dir(dir)) == "home":
		return path.Base(dir)
	}
	return ""
}

// bashStamp reads "#1795225255", which bash writes before a command.
func bashStamp(line []byte) (stamp.Stamp, bool) {
	if len(line) < 11 || line[0] != '#' {
		return stamp.Stamp{}, false
	}
	s, n := stamp.Parse(line[1:], stamp.Unknown)
	return s, n > 0 && s.Epoch && n == len(line)-1
}

// zshLine reads ": 1795225255:0;command" of zsh's extended history.
func zshLine(line []byte) (stamp.Stamp, []byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(": "))
	if !ok {
		return stamp.Stamp{}, nil, false
	}
	s, n := stamp.Parse(rest, stamp.Unknown)
	if n == 0 || !s.Epoch || n >= len(rest) || rest[n] != ':' {
		return stamp.Stamp{}, nil, false
	}
	_, cmd, ok := bytes.Cut(rest[n:], []byte(";"))
	return s, cmd, ok
}

// prompt reads the command behind a shell's prompt: "bash-5.2# kill 1",
// "[li@web ~]$ ls", "li@web:~$ ls".
func prompt(line []byte) ([]byte, bool) {
	for _, end := range []string{"# ", "$ ", "% "} {
		i := bytes.Index(line, []byte(end))
		if i <= 0 || i > 100 {
			continue
		}
		p := line[:i]
		if bytes.IndexByte(p, '@') > 0 || bytes.HasPrefix(p, []byte("bash")) || bytes.HasPrefix(p, []byte("sh-")) || bytes.HasSuffix(p, []byte("]")) && p[0] == '[' {
			cmd := bytes.TrimSpace(line[i+len(end):])
			return cmd, len(cmd) > 0
		}
	}
	return nil, false
}

// reader is the state of one artifact.
type reader struct {
	out  *analyze.Sink
	user string
	// at is a stamp that waits for its command.
	at         fact.Time
	typescript bool
	fish       *fact.CommandRun
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := &reader{out: out, user: user(in.Path), typescript: typescriptName(in.Path)}
	lr := lines.New(r, in.ID())
	for lr.Next() {
		if lr.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		h.line(lr.Bytes(), lr.Ref())
	}
	h.flush()
	return lr.Err()
}

func (h *reader) line(line []byte, at fact.Ref) {
	if h.typescript || bytes.HasPrefix(line, []byte("Script started on ")) {
		h.typescript = true
		if cmd, ok := prompt(rubbed(line)); ok {
			h.emit(cmd, at, fact.Time{})
		}
		return
	}
	if s, ok := bashStamp(line); ok {
		h.at = s.Time(h.out.Input().ModTime)
		return
	}
	if s, cmd, ok := zshLine(line); ok {
		h.emit(cmd, at, s.Time(h.out.Input().ModTime))
		return
	}
	if cmd, ok := bytes.CutPrefix(line, []byte("- cmd: ")); ok {
		h.flush()
		h.fish = &fact.CommandRun{At: at, User: h.user, Text: text(cmd)}
		return
	}
	if h.fish != nil {
		if when, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("when: ")); ok {
			if s, n := stamp.Parse(when, stamp.Unknown); n > 0 {
				h.fish.Time = s.Time(h.out.Input().ModTime)
			}
		}
		return
	}
	if len(bytes.TrimSpace(line)) > 0 {
		h.emit(numbered(line), at, h.at)
	}
	h.at = fact.Time{}
}

// numbered drops the number of `history`'s own listing: "  512  kill -9 6080".
func numbered(line []byte) []byte {
	t := bytes.TrimLeft(line, " ")
	n := 0
	for n < len(t) && t[n]-'0' <= 9 {
		n++
	}
	if n > 0 && len(t) > n+2 && t[n] == ' ' && t[n+1] == ' ' && len(t) < len(line) {
		return bytes.TrimLeft(t[n:], " ")
	}
	return line
}

func (h *reader) emit(cmd []byte, at fact.Ref, when fact.Time) {
	if t := text(cmd); t != "" {
		analyze.Emit(h.out, fact.CommandRun{At: at, Time: when, User: h.user, Text: t})
	}
}

func (h *reader) flush() {
	if h.fish != nil {
		analyze.Emit(h.out, *h.fish)
		h.fish = nil
	}
}

// text is a command on one line, cut to a bounded length.
func text(b []byte) string {
	const limit = 1 << 10
	return strings.ToValidUTF8(string(bytes.TrimSpace(b[:min(len(b), limit)])), "\ufffd")
}

// rubbed applies the backspaces of a typescript.
func rubbed(b []byte) []byte {
	if bytes.IndexByte(b, '\b') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\b':
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, b[i])
		}
	}
	return out
}

// Package transcript takes a file apart that holds the output of several commands
// one after the other, as people and scripts collect them:
//
//	$ ss -tanp            ops@web-1:~$ ss -tanp       + ss -tanp
//	==> /proc/net/tcp <== ### ss -tanp                ===== ss -tanp =====
//
// Outputs that were only pasted below each other are told apart by their headings.
// Each output becomes an artifact of its own, named by its command, so that the
// parser of its format reads it.
package transcript

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser takes transcripts apart.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "transcript",
		Doc:   "Outputs of several commands in one file, with or without the commands or file names above them.",
		Emits: []fact.Kind{fact.CommandRun{}.Kind()},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniff leaves recordings of a terminal to package history, which reads them as
// what a person typed.
func sniff(h analyze.Head) analyze.Match {
	if bytes.HasPrefix(h.Bytes, []byte("Script started on ")) || strings.Contains(path.Base(h.Path), "typescript") || bytes.IndexByte(h.Bytes, 0) >= 0 {
		return analyze.No
	}
	if m := sniffMarked(h); m != analyze.No {
		return m
	}
	return sniffPasted(h)
}

// sniffMarked wants two commands that people collect with, marked in the same way,
// and the first of them at the beginning.
func sniffMarked(h analyze.Head) analyze.Match {
	var known [styles]int
	before, marked := 0, false
	for line := range bytes.Lines(h.Bytes) {
		line = bytes.TrimRight(line, " \t\r\n")
		if len(line) == 0 {
			continue
		}
		s, cmd := separator(line)
		if s == none || !collects(cmd) || s != prompt && s != traced && !bare(cmd) || line[0] == '#' && !bare(cmd) {
			if !marked {
				before++
			}
			continue
		}
		if before > maxBefore {
			return analyze.No
		}
		marked = true
		if known[s]++; known[s] == 2 {
			return analyze.Container
		}
	}
	return analyze.No
}

// maxBefore is how many lines may stand before the first command: a banner.
const maxBefore = 3

// style is how a command is marked.
type style int

const (
	none   style = iota
	prompt       // "$ ss", "ops@web-1:~$ ss", "[root@web-1 ~]# ss"
	traced       // "+ ss" of set -x
	headed       // "==> /proc/net/tcp <==" of head and tail
	hashed       // "### ss"
	ruled        // "===== ss =====", "--- ss ---"
	styles
)

// separator is the style of a separating line and what it names, none for any other.
func separator(b []byte) (style, string) {
	s := string(b[:min(len(b), maxCommand)])
	switch s[0] {
	case '=', '-', '*', '#':
		return ruledLine(s)
	case '+':
		if cmd := strings.TrimLeft(s, "+"); strings.HasPrefix(cmd, " ") {
			return traced, strings.TrimSpace(cmd)
		}
	case '$':
		if strings.HasPrefix(s, "$ ") {
			return prompt, strings.TrimSpace(s[2:])
		}
	default:
		return promptLine(s)
	}
	return none, ""
}

const maxCommand = 300

// ruledLine reads a line that begins with two or more of one character.
func ruledLine(s string) (style, string) {
	if s[0] == '#' && strings.HasPrefix(s, "# ") {
		return prompt, strings.TrimSpace(s[2:])
	}
	cmd := strings.TrimLeft(s, s[:1])
	if len(s)-len(cmd) < 2 {
		return none, ""
	}
	if inner, ok := strings.CutPrefix(cmd, "> "); ok && strings.HasSuffix(inner, " <==") {
		return headed, strings.TrimSuffix(inner, " <==")
	}
	end := strings.TrimRight(cmd, s[:1])
	cmd = strings.TrimSpace(end)
	switch {
	case cmd == "" || !strings.HasPrefix(end, " ") && s[0] == '-':
		return none, "" // a line of dashes, an option
	case s[0] == '#':
		return hashed, strings.Trim(cmd, ": ")
	}
	return ruled, strings.Trim(cmd, ": ")
}

// promptLine reads "ops@web-1:~$ ss -tan", "[root@web-1 ~]# ss", "bash-5.2# ss".
func promptLine(s string) (style, string) {
	i := strings.IndexAny(s, "$#%")
	if i <= 0 || i > 100 || i+2 >= len(s) || s[i+1] != ' ' {
		return none, ""
	}
	p := s[:i]
	if strings.Contains(p, "@") && !strings.ContainsAny(p[:strings.Index(p, "@")], " \t:=") || strings.HasPrefix(p, "bash-") || strings.HasPrefix(p, "sh-") {
		return prompt, strings.TrimSpace(s[i+2:])
	}
	return none, ""
}

// tools are commands whose output people collect.
const tools = " ss netstat ps pstree top pidstat lsof nstat ip ifconfig route arp ethtool conntrack iptables nft " +
	"date timedatectl hostname hostnamectl uname uptime w who id whoami free vmstat iostat mpstat sar df mount lsblk ulimit prlimit sysctl env " +
	"dmesg journalctl systemctl tail head cat ls find grep awk ausearch aureport auditctl curl wget dig nslookup ping traceroute " +
	"kubectl crictl docker podman nsenter gdb strace pstack jstack jcmd jps py-spy go tcpdump tshark last lastlog getent sockstat procstat fstat "

// collects reports whether a separating line names a command of tools, or a file.
func collects(cmd string) bool {
	words := strings.Fields(cmd)
	for len(words) > 1 && (words[0] == "sudo" || words[0] == "time" || words[0] == "command:" || words[0] == "Command:" || strings.Contains(words[0], "=") || words[0] == "timeout" || isNumber(words[0])) {
		words = words[1:]
	}
	if len(words) == 0 {
		return false
	}
	first := words[0]
	if len(words) == 1 && strings.HasPrefix(first, "/") && strings.Count(first, "/") > 1 {
		return true
	}
	return strings.Contains(tools, " "+path.Base(first)+" ")
}

// bare reports whether a command cannot be a heading or a comment in prose, "# find
// the node": its tool stands alone or has options or a file behind it.
func bare(cmd string) bool {
	words := strings.Fields(cmd)
	if len(words) < 2 {
		return true
	}
	tool, next := path.Base(words[0]), words[1]
	return strings.ContainsAny(next[:1], "-/+|") || strings.ContainsAny(next, "/=") || tool == "ps" || tool == "ss" || tool == "sudo" || strings.HasPrefix(tool, "kube") || strings.HasPrefix(words[0], "/")
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// section is the output of one command.
type section struct {
	name       string
	line       int
	start, end int64
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	head := make([]byte, analyze.HeadSize)
	n, err := io.ReadFull(r, head)
	if err != nil && n == 0 {
		return err
	}
	rd := lines.New(io.MultiReader(bytes.NewReader(head[:n]), r), in.ID())
	if sniffMarked(analyze.Head{Path: in.Path, Size: in.Size, Bytes: head[:n]}) == analyze.No {
		return parsePasted(ctx, in, out, rd)
	}
	return parseMarked(ctx, in, out, rd)
}

func parseMarked(ctx context.Context, in *analyze.Input, out *analyze.Sink, rd *lines.Reader) error {
	used := none
	var list []section
	for rd.Next() {
		if rd.Number()&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, at := rd.Trimmed()
		if len(line) == 0 {
			continue
		}
		s, cmd := separator(line)
		if s == none || used != none && s != used || used == none && !collects(cmd) || s == ruled && !collects(cmd) {
			continue
		}
		used = s
		if n := len(list); n > 0 {
			list[n-1].end = rd.Offset()
		}
		list = append(list, section{name: cmd, line: rd.Number(), start: rd.End()})
		if s == prompt {
			analyze.Emit(out, fact.CommandRun{At: at, Text: strings.ToValidUTF8(cmd, "\ufffd")})
		}
		if err := out.Full(); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return analyze.ErrForeign
	}
	list[len(list)-1].end = rd.End()
	embed(in, out, list)
	return rd.Err()
}

// embed hands over the sections that hold something.
func embed(in *analyze.Input, out *analyze.Sink, list []section) {
	names := map[string]int{}
	for _, s := range list {
		if s.end <= s.start {
			continue
		}
		name := label(s.name)
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, names[name])
		}
		out.Embed(&analyze.Input{
			Path: in.Path + "!" + name, Size: s.end - s.start, ModTime: in.ModTime, Host: in.Host,
			Note: fmt.Sprintf("from line %d of the file", s.line+1),
			Open: func() (io.ReadCloser, error) { return open(in, s) },
		})
	}
}

// label is a command as the name of an artifact.
func label(cmd string) string {
	const limit = 80
	cmd = strings.Map(func(r rune) rune {
		if r < ' ' || r == '!' {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(cmd, "\ufffd"))
	if r := []rune(cmd); len(r) > limit {
		cmd = string(r[:limit])
	}
	return cmd
}

// open reads one section.
func open(in *analyze.Input, s section) (io.ReadCloser, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	if seeker, ok := r.(io.Seeker); ok {
		_, err = seeker.Seek(s.start, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, r, s.start)
	}
	if err != nil {
		return nil, fmt.Errorf("open section: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, s.end-s.start), r}, nil
}

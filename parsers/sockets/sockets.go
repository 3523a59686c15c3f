// Package sockets reads socket tables: the output of ss (iproute2) and of netstat
// (net-tools, BusyBox, macOS, FreeBSD, Windows), FreeBSD's sockstat, and the
// kernel's own tables /proc/net/tcp, udp, raw and unix.
//
// One artifact may hold several tables, of several tools, with other text around
// them. Columns are found by the header of each table and by the shape of what
// stands in them, never by counting blanks: the tools pad, shift and cut.
package sockets

import (
	"bytes"
	"context"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads ss, netstat and /proc/net tables.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "sockets",
		Doc:   "Socket tables: ss, netstat (Linux, BusyBox, macOS, FreeBSD, Windows), FreeBSD's sockstat and /proc/net/tcp, udp, raw, unix.",
		Emits: []fact.Kind{"socket", "socket_table"},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniffLines is how many lines a header may stand below the top; what comes
// before it are shell prompts, warnings and banners.
const sniffLines = 24

// sniff is sure of a header near the top, and believes rows without one (ss -H, a
// grepped netstat) when most lines are rows.
func sniff(h analyze.Head) analyze.Match {
	best := analyze.No
	rows, other := 0, 0
	sc := newScanner(h.Path, nil)
	for i, rest := 0, h.Bytes; len(rest) > 0; i++ {
		line, more, whole := bytes.Cut(rest, []byte("\n"))
		rest = more
		line = bytes.TrimRight(line, " \t\r")
		if len(line) == 0 || !whole && i > 0 {
			continue
		}
		if hd, ok := parseHeader(line); ok && hd.dialect != ignored {
			switch {
			case other == 0 && !hd.title && sc.firstRow(hd, rest):
				return analyze.Certain // whatever the file is called
			case i < sniffLines:
				best = analyze.Sure
			default:
				best = max(best, analyze.Maybe)
			}
			continue
		}
		if line[0] == '\t' {
			continue // a second line of ss
		}
		if _, ok := sc.guess(line); ok {
			rows++
		} else {
			other++
		}
	}
	switch {
	case best == analyze.Sure:
		return best
	case rows > 0 && rows > 4*other:
		return analyze.Probably
	case rows > 1 && rows > other:
		return max(best, analyze.Maybe)
	}
	return best
}

// firstRow reports whether the line below a header is a row of its table.
func (s *scanner) firstRow(hd header, below []byte) bool {
	line, _, _ := bytes.Cut(below, []byte("\n"))
	var row fact.Socket
	return s.parseRow(&hd, bytes.TrimRight(line, " \t\r"), &row)
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	r, err := in.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	rd := lines.New(r, in.ID())
	sc := newScanner(in.Path, out)
	for rd.Next() {
		if rd.Number()&0xfff == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		sc.line(rd.Trimmed())
		if err := out.Full(); err != nil {
			return err
		}
	}
	sc.endTable()
	return rd.Err()
}

// options are the letters of an option group in a file's name, as collectors
// write them: the "tanpoe" of ss_tanpoe.txt and netstat-anp. They are a hint for
// what a table cannot show by itself.
func options(file string) string {
	base := path.Base(file)
	if i := strings.IndexByte(base, '!'); i >= 0 {
		base = base[i+1:]
	}
	base, _, _ = strings.Cut(base, ".")
	words := strings.FieldsFunc(base, func(r rune) bool { return r == '_' || r == '-' || r == ' ' })
	for i, w := range words {
		if (w == "ss" || w == "netstat") && i+1 < len(words) && len(words[i+1]) <= 12 && strings.Trim(words[i+1], "taunxlpoeimOHWZ46swdbr") == "" {
			return words[i+1]
		}
	}
	return ""
}

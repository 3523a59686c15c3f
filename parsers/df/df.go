// Package df reads how full file systems are: df, with -h, -k, -P, -T or -i, of the
// GNU tools in any language and of BusyBox.
package df

import (
	"context"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
)

// Parser reads tables of df.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:  "df",
		Doc:   "Use of file systems: df, also -i, -h and -T.",
		Emits: []fact.Kind{"filesystem"},
		Sniff: sniff,
		Parse: parse,
	}
}

// sniff wants the heading, which is all words and differs by language, and rows that
// have their percentage before the place where the file system is mounted.
func sniff(h analyze.Head) analyze.Match {
	rows, n := 0, 0
	for line, whole := range lines.Head(h.Bytes) {
		if n == 40 {
			break
		}
		if s := strings.TrimSpace(string(line[:min(len(line), 512)])); s != "" && (whole || n == 0) {
			n++
			_, ok := split(s)
			if _, wrapped := split("- " + s); ok || wrapped && line[0] == ' ' {
				rows++
			}
		}
	}
	if rows > 0 && rows*2 >= n {
		return analyze.Sure
	}
	return analyze.No
}

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	inodes, device, rows := false, "", 0
	err := lines.Each(ctx, in, out, func(s string, at fact.Ref) {
		s = strings.TrimSpace(s)
		r, ok := split(strings.TrimSpace(device + " " + s))
		switch {
		case s == "":
		case ok:
			r.At, r.Inodes, device = at, inodes, ""
			rows++
			analyze.Emit(out, r)
		case heading(s):
			inodes, device = countsInodes(s), ""
		case !strings.Contains(s, " "):
			device = s // a long name stands on a line of its own
		case strings.HasPrefix(s, "df: "), strings.Contains(s, " - /"): // a file system without a size: /proc
		default:
			device = ""
			out.Skip(&analyze.SyntaxError{At: at, Msg: "not a row of df: " + strconv.Quote(s[:min(len(s), 60)])})
		}
	})
	if err == nil && rows == 0 {
		return analyze.ErrForeign
	}
	return err
}

// split reads a row from its end, for names may hold blanks:
//
//	/dev/vda       ext4 264212084 87530708   7970556  92% /
func split(s string) (r fact.Filesystem, ok bool) {
	i := strings.Index(s, "% /")
	if i < 0 {
		return r, false
	}
	f := strings.Fields(s[:i])
	n := len(f)
	if n < 5 || !amount(f[n-4]) || !amount(f[n-3]) || !amount(f[n-2]) {
		return r, false
	}
	pct, err := strconv.ParseInt(f[n-1], 10, 64)
	if err != nil || pct < 0 {
		return r, false
	}
	r = fact.Filesystem{Device: f[0], Mount: strings.TrimSpace(s[i+2:]), Size: f[n-4], Used: f[n-3], Available: f[n-2], UsePercent: pct}
	if n == 6 && !amount(f[1]) {
		r.Type = f[1]
	}
	return r, true
}

// amount reports whether a word is a size: 264212084, 7.7G, 7,7G, 0.
func amount(w string) bool {
	w = strings.TrimRight(w, "KMGTPEkiB")
	return w != "" && w[0] >= '0' && w[0] <= '9' && strings.Trim(w, "0123456789.,") == ""
}

// heading reports whether a line can be the heading: no number but a block size
// stands there alone.
func heading(s string) bool {
	f := strings.Fields(s)
	if len(f) < 5 {
		return false
	}
	for _, w := range f {
		if strings.Trim(w, "0123456789") == "" && w != "1024" {
			return false
		}
	}
	return true
}

// countsInodes reports whether a heading is that of -i: the name of its columns is
// nearly the same everywhere.
func countsInodes(s string) bool {
	low := strings.ToLower(s)
	for _, w := range [...]string{"inod", "inœud", "nodos-i", "inós", "iノード", "iнод", "i-węz", "i-nod"} {
		if strings.Contains(low, w) {
			return true
		}
	}
	return false
}

package join

import (
	"cmp"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Samples orders artifacts that show the same thing at different times.
type Samples struct {
	arts map[fact.ID]fact.Artifact
	// taker is the pid of the ps that printed a process table: pids rise, so of two
	// tables the one with the higher is the later.
	taker map[fact.ID]int
}

var samples = analyze.Derived[*Samples]{
	Name:  "samples",
	Needs: []fact.Kind{"process"},
	Build: func(p *analyze.Pass) *Samples {
		s := &Samples{arts: map[fact.ID]fact.Artifact{}, taker: map[fact.ID]int{}}
		for row := range fact.All[fact.Process](p.Facts) {
			if prog, _, _ := strings.Cut(row.Command, " "); path.Base(prog) == "ps" {
				s.taker[row.At.Artifact] = max(s.taker[row.At.Artifact], row.PID)
			}
		}
		for _, a := range p.Facts.Artifacts() {
			s.arts[a.ID] = a
		}
		return s
	},
}

// SamplesOf returns the order of the bundle's artifacts in time.
func SamplesOf(p *analyze.Pass) *Samples { return samples.Of(p) }

// Compare orders two artifacts by when they were taken: by what their names say
// (before/after, t0/t1, _1/_2), else, for process tables, by the pid of the ps that
// printed them, else by the modification times of the archive, else by name. Names
// win because copying a bundle changes times.
func (s *Samples) Compare(a, b fact.ID) int {
	if a == b {
		return 0
	}
	if x, y, ok := stages(string(a), string(b)); ok && x != y {
		return cmp.Compare(x, y)
	}
	if x, y := s.taker[a], s.taker[b]; x > 0 && y > 0 && x != y {
		return cmp.Compare(x, y)
	}
	ta, tb := s.arts[a].ModTime, s.arts[b].ModTime
	if ta.Known() && tb.Known() && !ta.T.Equal(tb.T) {
		return ta.T.Compare(tb.T)
	}
	return naturalCompare(string(a), string(b))
}

// Apart reports whether two artifacts were surely taken at different times: their
// names say so, or the archive's times are at least five seconds apart. Two tools
// run one after the other are one moment.
func (s *Samples) Apart(a, b fact.ID) bool {
	if x, y, ok := stages(string(a), string(b)); ok && x != y {
		return true
	}
	if x, y := s.taker[a], s.taker[b]; x > 0 && y > 0 && x != y {
		return true
	}
	ta, tb := s.arts[a].ModTime, s.arts[b].ModTime
	return ta.Known() && tb.Known() && ta.T.Sub(tb.T).Abs().Seconds() >= 5
}

// stageWords are the words with which people name samples, with their order.
var stageWords = map[string]int{
	"before": -1, "pre": -1, "start": -1, "begin": -1, "old": -1, "prev": -1, "baseline": -1, "early": -1,
	"during": 0, "mid": 0,
	"after": 1, "post": 1, "end": 1, "new": 1, "now": 1, "final": 1, "late": 1, "later": 1,
}

// stages compares two names that are alike but for one word or number, and gives
// each name's place. ok is false when the names are of different things.
func stages(a, b string) (x, y int, ok bool) {
	wa, wb := words(a), words(b)
	// One name may lack the word: ps.txt and ps_after.txt.
	if len(wa) != len(wb) {
		x, xok := onlyExtra(wa, wb)
		y, yok := onlyExtra(wb, wa)
		if xok || yok {
			return x, y, true
		}
		return 0, 0, false
	}
	diff := -1
	for i := range wa {
		if wa[i] != wb[i] {
			if diff >= 0 {
				return 0, 0, false
			}
			diff = i
		}
	}
	// A number that is all of the name ("9.txt") numbers files, not samples.
	if own := words(path.Base(a)); diff < 0 || len(own) <= 2 && diff == len(wa)-len(own) && isNumber(own[0]) {
		return 0, 0, false
	}
	x, xok := stageWords[wa[diff]]
	y, yok := stageWords[wb[diff]]
	if xok && yok {
		return x, y, true
	}
	x, xok = sampleNumber(wa[diff])
	y, yok = sampleNumber(wb[diff])
	return x, y, xok && yok
}

// onlyExtra finds the one stage word or sample number that long has and short lacks:
// ps_after.txt beside ps.txt, gdb_812_2.txt beside gdb_812.txt.
func onlyExtra(long, short []string) (int, bool) {
	if len(long) != len(short)+1 {
		return 0, false
	}
	for i, w := range long {
		rest := strings.Join(long[:i], " ") + "|" + strings.Join(long[i+1:], " ")
		place, ok := stageWords[w]
		if n, isNumber := sampleNumber(w); !ok && isNumber && i > 0 && n > 1 && n < 10 {
			place, ok = n, true
		}
		if ok && rest == strings.Join(short[:i], " ")+"|"+strings.Join(short[i:], " ") {
			return place, true
		}
	}
	return 0, false
}

func isNumber(w string) bool {
	_, rest := leadingNumber(w)
	return rest == ""
}

// sampleNumber reads "2", "t0", "#3" as a small ordinal; larger numbers are pids,
// ports or dates and no sample numbers.
func sampleNumber(w string) (int, bool) {
	w = strings.TrimPrefix(strings.TrimPrefix(w, "sample"), "t")
	if w == "" || len(w) > 3 {
		return 0, false
	}
	n := 0
	for _, c := range w {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

func words(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r == '/' || r == '_' || r == '-' || r == '.' || r == ' '
	})
}

// naturalCompare compares names with numbers by value: s2 before s10.
func naturalCompare(a, b string) int {
	for a != "" && b != "" {
		na, ra := leadingNumber(a)
		nb, rb := leadingNumber(b)
		if na != "" && nb != "" {
			if c := cmp.Or(cmp.Compare(len(na), len(nb)), cmp.Compare(na, nb)); c != 0 {
				return c
			}
			a, b = ra, rb
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingNumber(s string) (number, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == 0 {
		return "", s
	}
	// "0" stays "0", so that a number is never taken for none.
	return cmp.Or(strings.TrimLeft(s[:i], "0"), "0"), s[i:]
}

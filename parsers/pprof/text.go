package pprof

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/lines"
	"github.com/culprit-dev/culprit/parsers/internal/symbol"
)

// textHeaders begin debug=1 texts, with the type of the profile.
var textHeaders = []struct{ head, kind string }{
	{"--- mutex:", "mutex"},
	{"--- contention:", "block"},
	{"heap profile: ", "heap"},
	{"threadcreate profile: total ", "threadcreate"},
}

func textKind(b []byte) string {
	for _, h := range textHeaders {
		if bytes.HasPrefix(b, []byte(h.head)) {
			return h.kind
		}
	}
	return ""
}

func isText(b []byte) bool { return textKind(b) != "" }

// text is a debug=1 text being read:
//
//	--- mutex:
//	cycles/second=2599997656
//	sampling period=2
//	263520 2 @ 0x4577f1 0x4577f0
//	#	0x4577f0	main.(*Hub).Publish+0x390	/src/hub.go:31
type text struct {
	r      *lines.Reader
	out    *analyze.Sink
	f      fact.Profile
	cycles float64 // a second
	site   fact.ProfileSite
	open   bool
	top    []fact.ProfileSite // heaviest first, at most sites
}

func parseText(ctx context.Context, rd io.Reader, in *analyze.Input, out *analyze.Sink) error {
	t := &text{r: lines.New(rd, in.ID()), out: out}
	for t.r.Next() {
		if t.r.Number()%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		t.line(t.r.Bytes())
	}
	t.endSite()
	for _, s := range t.top {
		analyze.Emit(out, s)
	}
	analyze.Emit(out, t.f)
	return t.r.Err()
}

func (t *text) line(b []byte) {
	switch {
	case t.r.Number() == 1:
		t.header(b)
	case len(b) == 0:
		t.endSite()
	case b[0] == '#':
		t.frame(b)
	case bytes.HasPrefix(b, []byte("cycles/second=")):
		t.cycles, _ = strconv.ParseFloat(string(b[len("cycles/second="):]), 64)
	case bytes.HasPrefix(b, []byte("sampling period=")):
		t.f.Period, _ = strconv.ParseInt(string(b[len("sampling period="):]), 10, 64)
	default:
		t.endSite()
		if !t.record(b) {
			t.out.Skip(&analyze.SyntaxError{At: t.r.Ref(), Msg: "neither a record nor a frame"})
		}
	}
}

// header reads the first line.
func (t *text) header(b []byte) {
	t.f = fact.Profile{At: t.r.Ref(), Type: textKind(b)}
	switch t.f.Type {
	case "mutex", "block":
		t.f.Totals = []fact.ProfileSum{{Type: "contentions", Unit: "count"}, {Type: "delay", Unit: "nanoseconds"}}
	case "heap":
		t.f.Totals = []fact.ProfileSum{{Type: "alloc_objects", Unit: "count"}, {Type: "alloc_space", Unit: "bytes"}, {Type: "inuse_objects", Unit: "count"}, {Type: "inuse_space", Unit: "bytes"}}
		if _, period, ok := bytes.Cut(b, []byte("_v2/")); ok { // tcmalloc's heap_v2 and heapz_v2
			t.f.Period, _ = strconv.ParseInt(string(period), 10, 64)
		} else if _, period, ok := bytes.Cut(b, []byte("@ heap/")); ok {
			// The text states twice the rate, for tools that expect the mean distance.
			n, _ := strconv.ParseInt(string(period), 10, 64)
			t.f.Period = n / 2
		}
	default:
		t.f.Totals = []fact.ProfileSum{{Type: t.f.Type, Unit: "count"}}
	}
}

// record reads the numbers of a stack. It reports whether the line is one.
func (t *text) record(b []byte) bool {
	nums, _, ok := strings.Cut(string(b), " @")
	if !ok {
		return false
	}
	var v []int64
	for w := range strings.FieldsSeq(strings.NewReplacer(":", " ", "[", " ", "]", " ").Replace(nums)) {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return false
		}
		v = append(v, n)
	}
	if len(v) < len(t.f.Totals) {
		return false
	}
	switch t.f.Type {
	case "mutex", "block": // cycles, count
		delay := float64(v[0])
		if t.cycles > 0 {
			delay = delay / t.cycles * 1e9
		}
		v = []int64{v[1], int64(delay)}
	case "heap": // in use first
		v[0], v[1] = scale(v[0], v[1], t.f.Period)
		v[2], v[3] = scale(v[2], v[3], t.f.Period)
		v = []int64{v[2], v[3], v[0], v[1]}
	}
	t.site = fact.ProfileSite{At: t.r.Ref(), Type: t.f.Type, Values: v[:len(t.f.Totals)]}
	t.open = true
	t.f.Samples++
	for i := range t.f.Totals {
		t.f.Totals[i].Total += v[i]
	}
	return true
}

// scale estimates what was allocated from what was sampled, as pprof does: objects
// of a mean size are sampled with a probability that one byte in period gives.
func scale(count, size, period int64) (int64, int64) {
	if count == 0 || size == 0 || period <= 1 {
		return count, size
	}
	mean := float64(size) / float64(count)
	f := 1 / (1 - math.Exp(-mean/float64(period)))
	return int64(float64(count) * f), int64(float64(size) * f)
}

// frame reads a line with '#'; outside of a record it is the memory statistics at
// the end of a heap profile.
func (t *text) frame(b []byte) {
	if !t.open {
		return
	}
	fr, ok := symbol.Parse(b)
	if !ok || len(fr.Func) == 0 {
		return
	}
	t.site.Frames = append(t.site.Frames, fact.Frame{Func: string(fr.Func), File: string(fr.File), Line: fr.Line, At: t.r.Ref()})
	t.site.At.Len = int(t.r.Offset()-t.site.At.Offset) + len(b)
}

// endSite keeps the record if it is among the heaviest.
func (t *text) endSite() {
	if !t.open {
		return
	}
	t.open = false
	last := len(t.site.Values) - 1
	i, _ := slices.BinarySearchFunc(t.top, t.site, func(have, s fact.ProfileSite) int {
		return cmp.Or(cmp.Compare(s.Values[last], have.Values[last]), -1)
	})
	if i >= sites {
		return
	}
	t.top = slices.Insert(t.top, i, t.site)
	t.top = t.top[:min(len(t.top), sites)]
}

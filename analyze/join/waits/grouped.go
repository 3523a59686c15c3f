package waits

import (
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// A debug=1 text names no frame of the runtime, and with them the wait. Their
// program counters stand in the record, and there are few of them:
//
//	3 @ 0x48a2ee 0x4195bc 0x4191b7 0x6fcd0b 0x491da1
//	#	0x6fcd0a	main.lookup.func1+0x4a	/src/main.go:16
//
//	gopark, chansend, chansend1      gopark, selectgo        gopark, block
//	gopark, chanrecv, chanrecv1
//
// A linker keeps the functions of one file in order, in which chansend stands
// before chanrecv, and block before selectgo. So who parked where can be told
// without any symbol: it is inferred, and said to be.

// collectGroups adds the groups of debug=1 texts and protos to their dumps.
func collectGroups(p *analyze.Pass, all []*Dump, shapes idleShapes) {
	type record struct {
		groups []*fact.Goroutine
		counts []int64
		hidden [][]uint64
	}
	records := map[*Dump]*record{}
	for gr := range fact.All[fact.GoroutineGroup](p.Facts) {
		var of *Dump
		for _, d := range all {
			if d.Grouped && d.Meta.At.Artifact == gr.At.Artifact && d.Meta.At.Line <= gr.At.Line {
				of = d
			}
		}
		if of == nil {
			continue
		}
		r := records[of]
		if r == nil {
			r = &record{}
			records[of] = r
		}
		g := &fact.Goroutine{At: gr.At, Frames: gr.Frames, Labels: gr.Labels, Leaked: gr.Leaked}
		if of.Meta.Form == "proto" {
			g.State = protoState(g)
		}
		r.groups, r.counts, r.hidden = append(r.groups, g), append(r.counts, gr.Count), append(r.hidden, gr.Unnamed)
	}
	for _, d := range all {
		r := records[d]
		if r == nil {
			continue
		}
		if d.Meta.Form != "proto" {
			inferStates(r.groups, r.hidden)
		}
		for i, g := range r.groups {
			d.add(g, r.counts[i], shapes)
		}
	}
}

// inferStates sets the state of the groups of one debug=1 text.
func inferStates(groups []*fact.Goroutine, hidden [][]uint64) {
	park := parkCounter(groups, hidden)
	if park == 0 {
		return
	}
	var entries, selects []uint64 // chansend1, chanrecv1 and chanrecv2; selectgo and block
	for i, g := range groups {
		switch h := hidden[i]; {
		case shownWait(g) || len(h) == 0 || h[0] != park:
		case len(h) == 3:
			entries = append(entries, h[2])
		case len(h) == 2:
			selects = append(selects, h[1])
		}
	}
	last := highest(entries)
	// Where all wait in the same way it is rather a receive: nothing firm follows
	// from it.
	sends := func(h []uint64) bool { return h[2]+besideEachOther < last }
	var receiving, sending []uint64
	for i, g := range groups {
		if h := hidden[i]; !shownWait(g) && len(h) == 3 && h[0] == park {
			if sends(h) {
				sending = append(sending, h[1])
			} else {
				receiving = append(receiving, h[1])
			}
		}
	}
	for i, g := range groups {
		h := hidden[i]
		switch {
		case shownWait(g):
		case len(h) == 0 || h[0] != park:
			g.State = "running"
		case len(h) == 3 && sends(h):
			g.State = channelState("chan send", h[1], sending)
		case len(h) == 3:
			g.State = channelState("chan receive", h[1], receiving)
		case len(h) == 2 && h[1] < highest(selects):
			g.State = "select (no cases)"
		case len(h) == 2:
			g.State = "select"
		}
	}
}

// besideEachOther is how close chanrecv1 and chanrecv2 stand, in bytes, and more
// than which chansend1 is away from them.
const besideEachOther = 256

// channelState adds what parks at the earlier of two places: a channel that is nil
// is looked for first.
func channelState(state string, at uint64, others []uint64) string {
	if at < highest(others) {
		return state + " (nil chan)"
	}
	return state
}

// parkCounter is the program counter inside runtime.gopark: what every wait begins
// with of which the text names the kind. 0 if there is none.
func parkCounter(groups []*fact.Goroutine, hidden [][]uint64) uint64 {
	for i, g := range groups {
		if len(hidden[i]) > 0 && len(g.Frames) > 0 {
			switch g.Frames[0].Func {
			case "internal/poll.runtime_pollWait", "time.Sleep", "sync.runtime_notifyListWait":
				return hidden[i][0]
			}
		}
	}
	return 0
}

// shownWait reports whether the first frame that is named tells the wait, or that
// it is a call into the system.
func shownWait(g *fact.Goroutine) bool {
	if len(g.Frames) == 0 {
		return true
	}
	fn := g.Frames[0].Func
	return strings.Contains(fn, ".runtime_Semacquire") || strings.HasSuffix(fn, ".runtime_pollWait") || strings.HasSuffix(fn, ".runtime_notifyListWait") ||
		fn == "time.Sleep" || systemCall(fn)
}

// systemCall reports whether a function enters the kernel or C.
func systemCall(fn string) bool {
	return strings.Contains(fn, "yscall.") || strings.HasPrefix(fn, "runtime.cgocall") || strings.HasPrefix(fn, "runtime.notetsleep") || fn == "os/signal.signal_recv"
}

func highest(counters []uint64) (most uint64) {
	for _, c := range counters {
		most = max(most, c)
	}
	return most
}

// protoState is "running" for a group of a binary profile, which names all frames
// of the runtime, that is neither parked nor in the system.
func protoState(g *fact.Goroutine) string {
	for _, f := range g.Frames {
		if strings.HasPrefix(f.Func, "runtime.gopark") || systemCall(f.Func) {
			return ""
		}
	}
	if len(g.Frames) == 0 {
		return ""
	}
	return "running"
}

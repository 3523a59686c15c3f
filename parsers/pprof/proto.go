package pprof

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// sniffProto walks the top-level fields of a profile: all have numbers and wire
// types of the format, and a sample or period type, which is a message of two
// numbers, is among them. The end of the head may cut the last field.
func sniffProto(b []byte) analyze.Match {
	fields, types := 0, 0
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			break
		}
		number, wire := tag>>3, tag&7
		// 1 to 6 are messages and strings, 7 to 15 numbers, but for 11 (a message)
		// and 13 (may be packed).
		if number == 0 || number > 15 || wire != 0 && wire != 2 || number <= 6 && wire != 2 {
			return analyze.No
		}
		b = b[n:]
		v, n := binary.Uvarint(b)
		if n <= 0 {
			break
		}
		b = b[n:]
		if wire == 2 {
			if v > uint64(len(b)) {
				fields++
				break
			}
			if number == 1 || number == 11 {
				if !isValueType(b[:v]) {
					return analyze.No
				}
				types++
			}
			b = b[v:]
		}
		fields++
	}
	if fields < 3 || types == 0 {
		return analyze.No
	}
	return analyze.Sure
}

// isValueType checks a message of the fields 1 and 2, both numbers.
func isValueType(b []byte) bool {
	for len(b) > 0 {
		if b[0] != 1<<3 && b[0] != 2<<3 {
			return false
		}
		_, n := binary.Uvarint(b[1:])
		if n <= 0 {
			return false
		}
		b = b[1+n:]
	}
	return true
}

// sites is how many of the heaviest stacks are kept.
const sites = 20

// emit turns a profile into facts.
func emit(p *profile.Profile, out *analyze.Sink) {
	kind := profileType(p, out.Input().Path)
	at := fact.Ref{Artifact: out.Input().ID(), Packet: 1}
	f := fact.Profile{At: at, Type: kind, Samples: len(p.Sample), DurationSec: float64(p.DurationNanos) / 1e9, Period: p.Period}
	if p.TimeNanos > 0 {
		f.Time = fact.Time{T: time.Unix(0, p.TimeNanos).UTC(), Basis: fact.Epoch, Precision: time.Nanosecond}
	}
	for i, t := range p.SampleType {
		sum := fact.ProfileSum{Type: t.Type, Unit: t.Unit}
		for _, s := range p.Sample {
			sum.Total += s.Value[i]
		}
		f.Totals = append(f.Totals, sum)
	}
	if kind == "cpu" {
		f.Collector = collected(p)
	}
	analyze.Emit(out, f)
	if kind == "goroutine" || kind == "goroutineleak" {
		emitGroups(p, kind, out)
		return
	}
	main := mainValue(p)
	order := make([]int, len(p.Sample))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := p.Sample[a].Value[main], p.Sample[b].Value[main]
		switch {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	for _, i := range order[:min(len(order), sites)] {
		s := p.Sample[i]
		analyze.Emit(out, fact.ProfileSite{At: sampleAt(out, i), Type: kind, Values: slices.Clone(s.Value), Frames: frames(s), Labels: labels(s)})
	}
}

// collected is the time of the samples inside the garbage collector: its workers,
// and goroutines that must help it before they may allocate.
func collected(p *profile.Profile) (n int64) {
	for _, s := range p.Sample {
		for _, loc := range s.Location {
			if slices.ContainsFunc(loc.Line, func(l profile.Line) bool { return l.Function != nil && collector[l.Function.Name] }) {
				n += s.Value[len(s.Value)-1]
				break
			}
		}
	}
	return n
}

// collector are the functions that the garbage collector's work stands below.
var collector = map[string]bool{
	"runtime.gcBgMarkWorker": true, "runtime.gcAssistAlloc": true, "runtime.bgsweep": true, "runtime.bgscavenge": true, "runtime.gcStart": true,
	"runtime.gcMarkDone": true, "runtime.gcMarkTermination": true, "runtime.gcDrain": true,
}

// emitGroups writes a goroutine profile as one dump of groups.
func emitGroups(p *profile.Profile, kind string, out *analyze.Sink) {
	d := fact.Dump{At: fact.Ref{Artifact: out.Input().ID(), Packet: 1}, Form: "proto", Dump: 1, Leak: kind == "goroutineleak"}
	for i, s := range p.Sample {
		g := fact.GoroutineGroup{At: sampleAt(out, i), Count: s.Value[0], Frames: frames(s), Labels: labels(s), Leaked: d.Leak}
		d.Goroutines += int(g.Count)
		for _, f := range g.Frames {
			if f.Func == "main.main" {
				if dir := f.File[:max(strings.LastIndexByte(f.File, '/'), 0)]; dir != "" {
					d.Module = dir
				}
			}
		}
		analyze.Emit(out, g)
	}
	d.Total = d.Goroutines
	analyze.Emit(out, d)
}

func sampleAt(out *analyze.Sink, i int) fact.Ref {
	return fact.Ref{Artifact: out.Input().ID(), Packet: i + 1}
}

// profileType names the profile by its sample types, which are the same for mutex
// and block: there the innermost frames tell (who unlocks makes others wait, who
// is blocked waits), else the file's name.
func profileType(p *profile.Profile, path string) string {
	has := func(name string) bool {
		return slices.ContainsFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == name })
	}
	switch {
	case has("goroutine"), has("goroutineleak"), has("threadcreate"):
		return p.SampleType[0].Type
	case has("contentions") && has("delay"):
		return contention(p, path)
	case has("inuse_space"):
		if p.DefaultSampleType == "alloc_space" {
			return "allocs"
		}
		return "heap"
	case has("cpu"):
		return "cpu"
	}
	return p.SampleType[0].Type
}

func contention(p *profile.Profile, path string) string {
	for _, s := range p.Sample {
		fr := frames(s)
		if len(fr) == 0 {
			continue
		}
		switch fn := fr[0].Func; {
		case strings.HasSuffix(fn, "Unlock"), strings.HasPrefix(fn, "runtime.unlock"), fn == "runtime._LostContendedRuntimeLock":
			return "mutex"
		case strings.HasSuffix(fn, ").Lock"), fn == "runtime.selectgo", strings.HasPrefix(fn, "runtime.chan"), strings.HasSuffix(fn, ").Wait"):
			return "block"
		}
	}
	if !isGo(p) {
		return "contention" // of C++: gperftools books delay to who waited
	}
	name := strings.ToLower(path)
	if strings.Contains(name, "block") && !strings.Contains(name, "mutex") {
		return "block"
	}
	return "mutex"
}

// isGo reports whether a profile is of a Go program: its sources or its runtime are
// named. One without any symbol may be.
func isGo(p *profile.Profile) bool {
	for _, f := range p.Function {
		if strings.HasSuffix(f.Filename, ".go") || strings.HasPrefix(f.Name, "runtime.") || strings.HasPrefix(f.Name, "sync.") {
			return true
		}
	}
	return len(p.Function) == 0 && len(p.Mapping) == 0
}

// mainValue is the index of the value that profiles are sorted by: the default
// type, else the last one (delay, inuse_space, cpu).
func mainValue(p *profile.Profile) int {
	for i, t := range p.SampleType {
		if t.Type == p.DefaultSampleType {
			return i
		}
	}
	return len(p.SampleType) - 1
}

// frames are the calls of a sample, innermost first.
func frames(s *profile.Sample) []fact.Frame {
	var out []fact.Frame
	for _, loc := range s.Location {
		for i, l := range loc.Line {
			f := fact.Frame{Line: int(l.Line), Inlined: i < len(loc.Line)-1}
			if l.Function != nil {
				f.Func, f.File = l.Function.Name, l.Function.Filename
			}
			out = append(out, f)
		}
		if len(loc.Line) == 0 && loc.Address != 0 {
			out = append(out, fact.Frame{Func: fmt.Sprintf("%#x", loc.Address)})
		}
	}
	return out
}

func labels(s *profile.Sample) map[string]string {
	if len(s.Label) == 0 {
		return nil
	}
	out := make(map[string]string, len(s.Label))
	for k, v := range s.Label {
		out[k] = strings.Join(v, ",")
	}
	return out
}

// describe writes a sample as pprof's debug=1 text would.
func describe(p *profile.Profile, s *profile.Sample) string {
	var b bytes.Buffer
	for i, t := range p.SampleType {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", s.Value[i], t.Type)
		if t.Unit != "" && t.Unit != "count" {
			fmt.Fprintf(&b, " (%s)", t.Unit)
		}
	}
	b.WriteString(":")
	for _, f := range frames(s) {
		fmt.Fprintf(&b, "\n\t%s", f.Func)
		if f.File != "" {
			fmt.Fprintf(&b, " %s:%d", f.File, f.Line)
		}
	}
	return b.String()
}

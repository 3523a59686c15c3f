package fact

import (
	"encoding/json"
	"strings"
)

// Goroutine is one goroutine of a dump, with its stack, innermost frame first.
type Goroutine struct {
	At Ref `json:"-"` // the header; Len spans the block
	// ID is zero for the scheduler's own stack (g0) and in grouped forms (debug=1,
	// protos), which make a GoroutineGroup.
	ID int64 `json:"id"`
	// State is the wait reason as printed, without the minutes and the other
	// remarks: "IO wait", "chan receive", "sync.Mutex.Lock", "semacquire", "running".
	State string `json:"state"`
	// WaitMinutes is a lower bound: the runtime counts from a garbage collection.
	WaitMinutes    Int  `json:"wait_minutes,omitzero"`
	LockedToThread bool `json:"locked_to_thread,omitempty"`
	Leaked         bool `json:"leaked,omitempty"` // "(leaked)" of a goroutineleak profile
	Bubble         Int  `json:"synctest_bubble,omitzero"`
	// Labels are the pprof labels that the header prints since Go 1.26.
	Labels map[string]string `json:"labels,omitempty"`
	// Frames are shared by all goroutines with an equal stack, so that a dump of
	// 100,000 goroutines fits into memory; they must not be modified. What differs,
	// arguments and positions, stands in Calls: see Args and FrameAt.
	Frames []Frame `json:"frames"`
	// Calls has one element for each frame.
	Calls []Call `json:"-"`
	// CreatedBy is the function of the go statement, CreatedByFile and CreatedByLine
	// where it stands.
	CreatedBy     string `json:"created_by,omitempty"`
	CreatedByID   Int    `json:"created_by_id,omitzero"`
	CreatedByFile string `json:"created_by_file,omitempty"`
	CreatedByLine int    `json:"created_by_line,omitempty"`
	// CreatedByCall is the position of the "created by" line.
	CreatedByCall Call `json:"-"`
	// Elided is true when the runtime left out frames in the middle.
	Elided bool `json:"elided,omitempty"`
	// NoStack is true when the runtime could not print the stack, because the
	// goroutine ran on another thread.
	NoStack bool `json:"no_stack,omitempty"`
	// Broken is true when the block ends inside the stack.
	Broken bool `json:"broken,omitempty"`
	// Dump numbers the dumps of one artifact from 1.
	Dump int `json:"dump"`
}

// Call is what one goroutine has of its own in a frame: the arguments, and where
// the call stands, counted from the goroutine's header.
type Call struct {
	// Args is the text between the parentheses: "0x3f57a702000, 0x1?".
	Args   string
	Line   int32
	Offset int32
}

// Args are the arguments of a frame as printed: "0x3f57a702000", "0x1?",
// "{0x1, 0x2}", "...".
func (g *Goroutine) Args(frame int) []string {
	if frame >= len(g.Calls) {
		return nil
	}
	return splitArgs(g.Calls[frame].Args)
}

// FrameAt is the line of a frame's function; Len spans its file line too.
func (g *Goroutine) FrameAt(frame int) Ref {
	if frame >= len(g.Calls) {
		return g.At
	}
	return g.at(g.Calls[frame], g.end(frame))
}

// Through is the block from the header to a frame's file line.
func (g *Goroutine) Through(frame int) Ref {
	r := g.At
	if frame < len(g.Calls) {
		r.Len = g.end(frame)
	}
	return r
}

// CreatedByAt is the "created by" line, or the header where there is none.
func (g *Goroutine) CreatedByAt() Ref {
	if g.CreatedBy == "" {
		return g.At
	}
	return g.at(g.CreatedByCall, g.At.Len)
}

// end is where the text of a frame ends, from the header.
func (g *Goroutine) end(frame int) int {
	switch {
	case frame+1 < len(g.Calls):
		return int(g.Calls[frame+1].Offset) - 1
	case g.CreatedBy != "":
		return int(g.CreatedByCall.Offset) - 1
	}
	return g.At.Len
}

func (g *Goroutine) at(c Call, end int) Ref {
	r := g.At
	r.Line += int(c.Line)
	r.Offset += int64(c.Offset)
	r.Len = max(end-int(c.Offset), 0)
	return r
}

// MarshalJSON writes the frames with their arguments.
func (g Goroutine) MarshalJSON() ([]byte, error) {
	type plain Goroutine
	p := plain(g)
	p.Frames = make([]Frame, len(g.Frames))
	for i, f := range g.Frames {
		f.Args = g.Args(i)
		p.Frames[i] = f
	}
	return json.Marshal(p)
}

// splitArgs splits printed arguments at the commas outside of braces.
func splitArgs(s string) []string {
	if s == "" {
		return nil
	}
	var out []string
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}

// Frame is one call of a stack.
type Frame struct {
	// Func is the full name with package path and receiver, without arguments.
	Func string `json:"func"`
	// Args are the words as printed. A Goroutine keeps them in Calls instead.
	Args []string `json:"args,omitempty"`
	File string   `json:"file,omitempty"`
	Line int      `json:"line,omitempty"`
	// At is the function's line in the artifact; a Goroutine keeps it in Calls.
	At Ref `json:"-"`
	// Inlined frames print "(...)".
	Inlined bool `json:"inlined,omitempty"`
}

// Kind is "goroutine".
func (Goroutine) Kind() Kind { return "goroutine" }

// Ref is the header line.
func (g Goroutine) Ref() Ref { return g.At }

// Dump describes one goroutine dump as a whole.
type Dump struct {
	At Ref `json:"-"`
	// Form is debug=2, debug=1, sigquit, panic, proto, or stack for the stack of one
	// goroutine that a program printed by itself.
	Form string `json:"form"`
	// Dump numbers the dumps of one artifact from 1.
	Dump       int `json:"dump"`
	Goroutines int `json:"goroutines"`
	// Total is what the header of a grouped form states.
	Total int `json:"total,omitempty"`
	// Cause is the line that began a panic or fatal error, with CauseAt.
	Cause   string `json:"cause,omitempty"`
	CauseAt Ref    `json:"-"`
	// Cut: the dump ends early (the runtime cuts debug=2 at 64 MiB exactly).
	Cut bool `json:"cut,omitempty"`
	// GoVersion if the text reveals it ("1.26"), else "".
	GoVersion string `json:"go_version,omitempty"`
	// Leak is true for a goroutineleak profile.
	Leak bool `json:"leak,omitempty"`
	// Module is the main package's source root or module as the frames show it.
	Module string `json:"module,omitempty"`
	// Alike are goroutines that are only counted, because thousands of the dump have
	// the same stack, state and creator. They have no fact of their own.
	Alike []Alike `json:"alike,omitempty"`
}

// Alike is goroutines of a dump that are only counted.
type Alike struct {
	// Like is the id of a goroutine of the dump that has the same stack.
	Like int64 `json:"like"`
	// IDs are theirs, in the order of the dump.
	IDs []int64 `json:"ids"`
	// OneCreator is true when one goroutine created all of them.
	OneCreator bool `json:"one_creator,omitempty"`
}

// Kind is "dump".
func (Dump) Kind() Kind { return "dump" }

// Ref is the first line.
func (d Dump) Ref() Ref { return d.At }

// GoroutineGroup is a set of goroutines with one stack, from debug=1 text or a
// goroutine profile.
type GoroutineGroup struct {
	At     Ref               `json:"-"`
	Count  int64             `json:"count"`
	Frames []Frame           `json:"frames"`
	Labels map[string]string `json:"labels,omitempty"`
	Leaked bool              `json:"leaked,omitempty"`
	// Unnamed are the innermost program counters for which the text prints no frame:
	// those inside the runtime.
	Unnamed []uint64 `json:"unnamed,omitempty"`
}

// Kind is "goroutine_group".
func (GoroutineGroup) Kind() Kind { return "goroutine_group" }

// Ref is the line with the count, or the profile.
func (g GoroutineGroup) Ref() Ref { return g.At }

// Profile describes one pprof profile. In a binary profile, which has no lines,
// the Packet of a reference counts samples from 1.
type Profile struct {
	At Ref `json:"-"`
	// Type is goroutine, goroutineleak, heap, allocs, mutex, block, threadcreate
	// or cpu.
	Type string `json:"type"`
	// Samples counts sample records; Totals are the sums by sample type.
	Samples     int          `json:"samples"`
	Totals      []ProfileSum `json:"totals"`
	Time        Time         `json:"-"`
	DurationSec float64      `json:"duration_s,omitempty"`
	Period      int64        `json:"period,omitempty"`
	// Collector is the part of the last total that the garbage collector used; of
	// CPU profiles only.
	Collector int64 `json:"collector,omitempty"`
}

// ProfileSum is the total of one sample type.
type ProfileSum struct {
	Type  string `json:"type"`
	Unit  string `json:"unit"`
	Total int64  `json:"total"`
}

// Kind is "profile".
func (Profile) Kind() Kind { return "profile" }

// Ref is the file.
func (p Profile) Ref() Ref { return p.At }

// ProfileSite is one of the heaviest stacks of a profile, by its first sample
// type that measures (delay, bytes, nanoseconds).
type ProfileSite struct {
	At     Ref               `json:"-"`
	Type   string            `json:"type"` // of the profile
	Values []int64           `json:"values"`
	Frames []Frame           `json:"frames"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Kind is "profile_site".
func (ProfileSite) Kind() Kind { return "profile_site" }

// Ref is the profile.
func (s ProfileSite) Ref() Ref { return s.At }

// Thread is one thread of gdb, pstack, jstack, py-spy or faulthandler text.
type Thread struct {
	At Ref `json:"-"`
	// Runtime is native, jvm, python, node or go, as far as the frames tell.
	Runtime string  `json:"runtime"`
	PID     Int     `json:"pid,omitzero"`
	LWP     Int     `json:"lwp,omitzero"`
	Number  int     `json:"number,omitempty"`
	Name    string  `json:"name,omitempty"`
	State   string  `json:"state,omitempty"` // BLOCKED, WAITING, runnable, ...
	Frames  []Frame `json:"frames"`
	// Waits and Holds are lock identities as printed (jstack, gdb mutex owners).
	Waits string   `json:"waits,omitempty"`
	Holds []string `json:"holds,omitempty"`
	// LockClass is the class of what it waits for, as a JVM prints it.
	LockClass string `json:"lock_class,omitempty"`
	// Synchronizers is true where the text lists the synchronizers (locks of
	// java.util.concurrent) that each thread owns, so that none is an answer.
	Synchronizers bool `json:"synchronizers,omitempty"`
	// OwnerLWP is who holds what it waits for, where the text says so.
	OwnerLWP Int `json:"owner_lwp,omitzero"`
}

// Kind is "thread".
func (Thread) Kind() Kind { return "thread" }

// Ref is the thread's header.
func (t Thread) Ref() Ref { return t.At }

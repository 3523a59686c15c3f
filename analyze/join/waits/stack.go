package waits

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Stack is a set of goroutines with equal frames, state and creator.
type Stack struct {
	Kind   Kind
	State  string
	Frames []fact.Frame
	// Members are the goroutines in the order of the dump. In a grouped profile
	// there is one, which stands for Count.
	Members []*fact.Goroutine
	Count   int64
	// Counted are further goroutines with this stack, which Members lacks and Count
	// includes.
	Counted []fact.Alike
	// Site is the index of the innermost frame that is no frame of the runtime or
	// of a synchronisation primitive: who waits. -1 if there is none.
	Site int
	// App are the indexes of the application's frames, innermost first.
	App []int
	// Idle says why such a stack is in order whatever it waits for, "" if it is
	// not known to be.
	Idle string
	// Dumper is set for the goroutine that prints the dump.
	Dumper bool
	// Owners is for each frame the type of its method or, for functions and
	// closures, the outermost function: what belongs together.
	Owners []string

	sync syncFrames
}

// syncFrames are the indexes of the frames that can carry a lock's address, -1
// where there is none.
type syncFrames struct {
	lockSlow, mutexLock, sema, rwLock, rwRLock, once int
	group, cond, notify                              int
}

// Top is the frame that waits: the innermost application frame, else the site.
func (s *Stack) Top() int {
	if len(s.App) > 0 {
		return s.App[0]
	}
	return max(s.Site, 0)
}

// Func is the short name of the function at a frame: "(*Hub).Publish".
func (s *Stack) Func(i int) string {
	if i < 0 || i >= len(s.Frames) {
		return "unknown"
	}
	return ShortFunc(s.Frames[i].Func)
}

// Where is "file.go:31" of a frame.
func (s *Stack) Where(i int) string {
	if i < 0 || i >= len(s.Frames) || s.Frames[i].File == "" {
		return ""
	}
	f := s.Frames[i]
	return f.File[strings.LastIndexAny(f.File, `/\`)+1:] + ":" + strconv.Itoa(f.Line)
}

// First is the member that stands for the others in evidence: the one that has
// waited longest.
func (s *Stack) First() *fact.Goroutine {
	best := s.Members[0]
	for _, g := range s.Members {
		if g.WaitMinutes.Or(0) > best.WaitMinutes.Or(0) {
			best = g
		}
	}
	return best
}

// Minutes are the longest wait among the members.
func (s *Stack) Minutes() int64 { return s.First().WaitMinutes.Or(0) }

// ShortFunc is a function without its import path: "main.(*Hub).Publish".
func ShortFunc(fn string) string { return fn[strings.LastIndexByte(fn, '/')+1:] }

// PackageOf is the import path of a function.
func PackageOf(fn string) string {
	slash := strings.LastIndexByte(fn, '/') + 1
	if dot := strings.IndexByte(fn[slash:], '.'); dot >= 0 {
		return fn[:slash+dot]
	}
	return fn
}

// ownerOf is the type of a method, or the outermost function: closures belong to
// the function that they stand in.
//
//	example.com/x.(*Store).processRaft.func1   example.com/x.Store
//	example.com/x.monitor.func1                example.com/x.monitor
func ownerOf(fn string) string {
	pkg := PackageOf(fn)
	if len(pkg) == len(fn) {
		return fn
	}
	rest := fn[len(pkg)+1:]
	rest, pointer := strings.CutPrefix(rest, "(*")
	end := strings.IndexAny(rest, ".)[")
	if end < 0 {
		end = len(rest)
	}
	name := rest[:end]
	if !pointer && end < len(rest) && rest[end] == '[' { // generic function or type
		return pkg + "." + name
	}
	return pkg + "." + name
}

// analyzeStack fills a stack from its frames and state.
func analyzeStack(s *Stack, shapes idleShapes) {
	s.Site = -1
	s.Owners = make([]string, len(s.Frames))
	for i, f := range s.Frames {
		s.Owners[i] = ownerOf(f.Func)
		if !primitive(f.Func) && s.Site < 0 {
			s.Site = i
		}
		if join.Application(f) {
			s.App = append(s.App, i)
		}
		s.Dumper = s.Dumper || dumping(f.Func)
	}
	s.findSync()
	s.Kind = s.kind()
	if s.Kind.Lock() {
		s.lockSite()
	}
	s.Idle = shapes.match(s)
}

// primitive reports whether a function belongs to the runtime or to package sync:
// it is how one waits, not who.
func primitive(fn string) bool {
	return strings.HasPrefix(fn, "runtime.") || strings.HasPrefix(fn, "sync.") || strings.HasPrefix(fn, "internal/sync.") ||
		strings.HasPrefix(fn, "internal/runtime/")
}

func dumping(fn string) bool {
	switch fn {
	case "runtime/pprof.writeGoroutineStacks", "runtime/pprof.writeRuntimeProfile", "runtime/debug.Stack", "runtime.Stack",
		"runtime/pprof.runtime_goroutineProfileWithLabels", "runtime.goroutineProfileWithLabels":
		return true
	}
	return false
}

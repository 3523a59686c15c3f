package join

import (
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// WaitKind is what a goroutine waits for.
type WaitKind int

// The kinds. Parked is a wait of which a grouped profile does not tell the kind.
const (
	WaitUnknown WaitKind = iota
	Running              // running or able to run
	InSyscall
	Asleep
	WaitIO
	WaitRecv
	WaitSend
	WaitPipe // the reader of an io.Pipe
	WaitSelect
	WaitNilChan
	WaitNoCases
	WaitMutex // sync.Mutex, or the writers' mutex of a sync.RWMutex
	WaitWLock // the readers of a sync.RWMutex
	WaitRLock // the writer of a sync.RWMutex
	WaitGroup
	WaitCond
	WaitFD      // another goroutine's read or write on the same descriptor
	WaitGC      // work for the garbage collector
	WaitRuntime // the runtime's own idling
	Parked
)

// Lock reports whether the wait is for a mutex of either kind.
func (k WaitKind) Lock() bool { return k == WaitMutex || k == WaitWLock || k == WaitRLock }

// Sends reports whether the wait is for somebody who takes what is handed over.
func (k WaitKind) Sends() bool { return k == WaitSend || k == WaitPipe }

// Passive reports whether the wait looks the same in a goroutine that has nothing
// to do and in one that will never be woken.
func (k WaitKind) Passive() bool {
	return k == WaitRecv || k == WaitSelect || k == WaitCond || k == WaitGroup || k == Parked
}

// Live reports whether the goroutine goes on by itself.
func (k WaitKind) Live() bool {
	return k == Running || k == InSyscall || k == Asleep || k == WaitIO || k == WaitGC
}

// String says what the goroutine does, in words for a sentence.
func (k WaitKind) String() string {
	return [...]string{
		"unknown", "running", "in a system call", "sleeping", "in IO wait", "in chan receive", "in chan send", "in a write to an io.Pipe", "in select",
		"on a nil channel", "in select without cases", "waiting for a Mutex", "waiting to write-lock an RWMutex",
		"waiting to read-lock an RWMutex", "in WaitGroup.Wait", "in Cond.Wait", "waiting for its turn on a descriptor",
		"working for the garbage collector", "idle in the runtime", "parked",
	}[k]
}

// Stack is a set of goroutines with equal frames, state and creator.
type Stack struct {
	Kind   WaitKind
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
		if Application(f) {
			s.App = append(s.App, i)
		}
		s.Dumper = s.Dumper || dumping(f.Func)
	}
	s.findSync()
	s.Kind = s.kind()
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

// findSync looks at the primitives above the site.
func (s *Stack) findSync() {
	y := &s.sync
	*y = syncFrames{lockSlow: -1, mutexLock: -1, sema: -1, rwLock: -1, rwRLock: -1, once: -1, group: -1, cond: -1, notify: -1}
	for i, f := range s.Frames {
		if s.Site >= 0 && i >= s.Site {
			break
		}
		switch f.Func {
		case "internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).lockSlow":
			y.lockSlow = i
		case "internal/sync.(*Mutex).Lock", "sync.(*Mutex).Lock":
			if !f.Inlined {
				y.mutexLock = i
			}
			if y.lockSlow < 0 && y.mutexLock < 0 {
				y.mutexLock = i
			}
		case "runtime.semacquire1", "sync.runtime_SemacquireMutex", "sync.runtime_Semacquire", "sync.runtime_SemacquireRWMutex",
			"sync.runtime_SemacquireRWMutexR", "internal/sync.runtime_SemacquireMutex", "sync.runtime_SemacquireRWMutexW":
			if y.sema < 0 {
				y.sema = i
			}
		case "sync.(*RWMutex).Lock":
			y.rwLock = i
		case "sync.(*RWMutex).RLock":
			y.rwRLock = i
		case "sync.(*Once).doSlow":
			y.once = i
		case "sync.(*WaitGroup).Wait":
			y.group = i
		case "sync.(*Cond).Wait":
			y.cond = i
		case "sync.runtime_notifyListWait":
			y.notify = i
		}
	}
}

// kind reads the wait from the state, and from the frames where the state does not
// tell (semacquire before Go 1.20, grouped profiles).
func (s *Stack) kind() WaitKind {
	y := &s.sync
	state := s.State
	switch state {
	case "running", "runnable", "preempted", "copystack", "waiting for preemption":
		return Running
	case "syscall":
		return InSyscall
	case "sleep":
		return Asleep
	case "IO wait":
		return WaitIO
	case "chan receive":
		return WaitRecv
	case "chan send":
		return WaitSend
	case "select":
		if s.writesPipe() {
			return WaitPipe
		}
		return WaitSelect
	case "chan receive (nil chan)", "chan send (nil chan)":
		return WaitNilChan
	case "select (no cases)":
		return WaitNoCases
	case "sync.Cond.Wait":
		return WaitCond
	case "sync.WaitGroup.Wait":
		return WaitGroup
	case "finalizer wait", "cleanup wait", "force gc (idle)", "GC scavenge wait", "GC worker (idle)", "GOMAXPROCS updater (idle)",
		"trace reader (blocked)", "idle", "dead", "timer goroutine (idle)":
		return WaitRuntime
	case "GC sweep wait":
		if s.Site < 0 {
			return WaitRuntime
		}
		return WaitGC
	case "GC assist marking", "GC assist wait", "GC worker (active)", "garbage collection", "garbage collection scan",
		"wait for GC cycle", "GC mark termination", "GC weak to strong wait":
		return WaitGC
	}
	switch {
	case y.lockSlow >= 0, y.mutexLock >= 0 && y.group < 0:
		return WaitMutex
	case y.rwLock >= 0:
		return WaitWLock
	case y.rwRLock >= 0:
		return WaitRLock
	case y.group >= 0:
		return WaitGroup
	case y.cond >= 0:
		return WaitCond
	}
	for _, f := range s.Frames {
		switch f.Func {
		case "internal/poll.runtime_Semacquire":
			return WaitFD
		case "runtime.chansend", "runtime.chansend1":
			return WaitSend
		case "runtime.chanrecv", "runtime.chanrecv1", "runtime.chanrecv2":
			return WaitRecv
		case "runtime.selectgo":
			if s.writesPipe() {
				return WaitPipe
			}
			return WaitSelect
		case "internal/poll.runtime_pollWait", "runtime.netpollblock", "net.runtime_pollWait":
			return WaitIO
		case "time.Sleep", "runtime.timeSleep":
			return Asleep
		case "runtime.block":
			return WaitNoCases
		case "syscall.Syscall", "syscall.Syscall6", "syscall.RawSyscall", "os/signal.signal_recv", "runtime.notetsleepg", "runtime.cgocall":
			return InSyscall
		}
	}
	switch {
	case state == "sync.Mutex.Lock":
		return WaitMutex
	case state == "sync.RWMutex.Lock":
		return WaitWLock
	case state == "sync.RWMutex.RLock":
		return WaitRLock
	case len(s.App) == 0 && s.Site < 0:
		return WaitRuntime
	case state == "":
		return Parked
	}
	return WaitUnknown
}

// AtMercy says what another process must do before a goroutine goes on that counts
// as working: read what it writes, or give a file lock back. It is "" for others.
func (s *Stack) AtMercy() string {
	for i, f := range s.Frames {
		switch f.Func {
		case "internal/poll.runtime_pollWait":
			if s.Kind == WaitIO && s.Has("internal/poll.(*FD).Write", "internal/poll.(*FD).Writev", "internal/poll.(*FD).WriteTo") {
				return "the peer to read"
			}
		case "syscall.Flock", "syscall.FcntlFlock", "golang.org/x/sys/unix.Flock", "golang.org/x/sys/unix.FcntlFlock":
			return "another process to give the file lock back"
		}
		if i > maxAlike {
			break
		}
	}
	return ""
}

// writesPipe reports whether the wait is that of io.PipeWriter.Write, a select whose
// partner is the pipe's reader.
func (s *Stack) writesPipe() bool {
	return s.Site >= 0 && (s.Frames[s.Site].Func == "io.(*pipe).write" || s.Frames[s.Site].Func == "io.(*pipe).Write")
}

// pointer reads an argument that is a plausible heap or data address and that the
// runtime did not mark as unsure ('?').
func pointer(word string) (uint64, bool) {
	if len(word) < 6 || word[0] != '0' || word[1] != 'x' || word[len(word)-1] == '?' {
		return 0, false
	}
	var v uint64
	for i := 2; i < len(word); i++ {
		c := word[i]
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	// Below 64 KiB nothing is mapped, above 48 bits nothing is user space.
	return v, v >= 1<<16 && v < 1<<48 && len(word) <= 18
}

// eachPointer calls fn with each sure pointer among the arguments and its index;
// the index of one inside braces (a string, slice, interface or struct) is that of
// the braces plus inBraces.
func eachPointer(args string, fn func(index int, p uint64)) {
	if len(args) < 6 {
		return
	}
	index, depth, start := 0, 0, 0
	take := func(end int) {
		if end > start {
			if p, ok := pointer(args[start:end]); ok {
				i := index
				if depth > 0 {
					i += inBraces
				}
				fn(i, p)
			}
		}
	}
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case '{':
			depth++
			start = i + 1
		case '}':
			take(i)
			depth--
			start = i + 1
		case ',':
			take(i)
			if depth == 0 {
				index++
			}
			start = i + 1
		case ' ':
			start = i + 1
		}
	}
	take(len(args))
}

// inBraces marks the index of a pointer that stands inside an argument.
const inBraces = 1000

// arg is the first argument of a frame if it is a sure pointer. A generic function
// prints its dictionary there, and its receiver nowhere.
func arg(g *fact.Goroutine, frame int) (uint64, bool) {
	if frame < 0 || frame >= len(g.Calls) || strings.Contains(g.Frames[frame].Func, "[...]") {
		return 0, false
	}
	word, _, _ := strings.Cut(g.Calls[frame].Args, ",")
	return pointer(word)
}

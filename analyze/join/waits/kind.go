package waits

// Kind is what a goroutine waits for.
type Kind int

// The kinds. Parked is a wait of which a grouped profile does not tell the kind.
const (
	Unknown Kind = iota
	Running      // running or able to run
	InSyscall
	Asleep
	OnIO
	OnRecv
	OnSend
	OnPipe // the reader of an io.Pipe
	OnSelect
	OnNilChan
	OnNoCases
	OnMutex // sync.Mutex, or the writers' mutex of a sync.RWMutex
	OnWLock // the readers of a sync.RWMutex
	OnRLock // the writer of a sync.RWMutex
	OnGroup
	OnCond
	OnFD      // another goroutine's read or write on the same descriptor
	OnGC      // work for the garbage collector
	OnRuntime // the runtime's own idling
	Parked
)

// Lock reports whether the wait is for a mutex of either kind.
func (k Kind) Lock() bool { return k == OnMutex || k == OnWLock || k == OnRLock }

// Sends reports whether the wait is for somebody who takes what is handed over.
func (k Kind) Sends() bool { return k == OnSend || k == OnPipe }

// Passive reports whether the wait looks the same in a goroutine that has nothing
// to do and in one that will never be woken.
func (k Kind) Passive() bool {
	return k == OnRecv || k == OnSelect || k == OnCond || k == OnGroup || k == Parked
}

// Live reports whether the goroutine goes on by itself.
func (k Kind) Live() bool {
	return k == Running || k == InSyscall || k == Asleep || k == OnIO || k == OnGC
}

// String says what the goroutine does, in words for a sentence.
func (k Kind) String() string {
	return [...]string{
		"unknown", "running", "in a system call", "sleeping", "in IO wait", "in chan receive", "in chan send", "in a write to an io.Pipe", "in select",
		"on a nil channel", "in select without cases", "waiting for a Mutex", "waiting to write-lock an RWMutex",
		"waiting to read-lock an RWMutex", "in WaitGroup.Wait", "in Cond.Wait", "waiting for its turn on a descriptor",
		"working for the garbage collector", "idle in the runtime", "parked",
	}[k]
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
func (s *Stack) kind() Kind {
	k := ofState(s.State)
	if k == Unknown {
		k = s.ofPrimitive()
	}
	if k == Unknown {
		k = s.ofFrames()
	}
	switch {
	case k == OnSelect && s.writesPipe():
		return OnPipe
	case k == OnGC && s.State == "GC sweep wait" && s.Site < 0:
		return OnRuntime
	case k != Unknown:
		return k
	case s.State == "sync.Mutex.Lock":
		return OnMutex
	case s.State == "sync.RWMutex.Lock":
		return OnWLock
	case s.State == "sync.RWMutex.RLock":
		return OnRLock
	case len(s.App) == 0 && s.Site < 0:
		return OnRuntime
	case s.State == "":
		return Parked
	}
	return Unknown
}

// ofState is the kind that the runtime's word for a goroutine's state tells by
// itself. A lock's does not: the frames tell more, such as a writer that has the
// writers' mutex and waits for readers.
func ofState(state string) Kind {
	switch state {
	case "running", "runnable", "preempted", "copystack", "waiting for preemption":
		return Running
	case "syscall":
		return InSyscall
	case "sleep":
		return Asleep
	case "IO wait":
		return OnIO
	case "chan receive":
		return OnRecv
	case "chan send":
		return OnSend
	case "select":
		return OnSelect
	case "chan receive (nil chan)", "chan send (nil chan)":
		return OnNilChan
	case "select (no cases)":
		return OnNoCases
	case "sync.Cond.Wait":
		return OnCond
	case "sync.WaitGroup.Wait":
		return OnGroup
	case "finalizer wait", "cleanup wait", "force gc (idle)", "GC scavenge wait", "GC worker (idle)", "GOMAXPROCS updater (idle)",
		"trace reader (blocked)", "idle", "dead", "timer goroutine (idle)":
		return OnRuntime
	case "GC sweep wait", "GC assist marking", "GC assist wait", "GC worker (active)", "garbage collection", "garbage collection scan",
		"wait for GC cycle", "GC mark termination", "GC weak to strong wait":
		return OnGC
	}
	return Unknown
}

// ofPrimitive is the kind that the frames of package sync above the site tell.
func (s *Stack) ofPrimitive() Kind {
	switch y := &s.sync; {
	case y.lockSlow >= 0, y.mutexLock >= 0 && y.group < 0:
		return OnMutex
	case y.rwLock >= 0:
		return OnWLock
	case y.rwRLock >= 0:
		return OnRLock
	case y.group >= 0:
		return OnGroup
	case y.cond >= 0:
		return OnCond
	}
	return Unknown
}

// ofFrames is the kind that the first frame tells which only one wait has.
func (s *Stack) ofFrames() Kind {
	for _, f := range s.Frames {
		switch f.Func {
		case "internal/poll.runtime_Semacquire":
			return OnFD
		case "runtime.chansend", "runtime.chansend1":
			return OnSend
		case "runtime.chanrecv", "runtime.chanrecv1", "runtime.chanrecv2":
			return OnRecv
		case "runtime.selectgo":
			return OnSelect
		case "internal/poll.runtime_pollWait", "runtime.netpollblock", "net.runtime_pollWait":
			return OnIO
		case "time.Sleep", "runtime.timeSleep":
			return Asleep
		case "runtime.block":
			return OnNoCases
		case "syscall.Syscall", "syscall.Syscall6", "syscall.RawSyscall", "os/signal.signal_recv", "runtime.notetsleepg", "runtime.cgocall":
			return InSyscall
		}
	}
	return Unknown
}

// AtMercy says what another process must do before a goroutine goes on that counts
// as working: read what it writes, or give a file lock back. It is "" for others.
func (s *Stack) AtMercy() string {
	for i, f := range s.Frames {
		switch f.Func {
		case "internal/poll.runtime_pollWait":
			if s.Kind == OnIO && s.Has("internal/poll.(*FD).Write", "internal/poll.(*FD).Writev", "internal/poll.(*FD).WriteTo") {
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

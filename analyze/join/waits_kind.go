package join

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

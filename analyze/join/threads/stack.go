package threads

import (
	"fmt"
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// foreign are the beginnings of functions and files of runtimes and system
// libraries: where an application waits, but not why.
var foreign = struct{ funcs, files []string }{
	funcs: []string{
		"java.", "javax.", "jdk.", "sun.", "com.sun.", "kotlin.", "kotlinx.", "scala.",
		"std::", "__gthread", "boost::", "pthread_", "futex_", "lll_", "clone", "start_thread", "uv_",
	},
	files: []string{
		"../sysdeps/", "./nptl/", "../nptl/", "./io/", "../io/", "./socket/", "./misc/", "./time/", "./sysdeps/", "./csu/",
		"/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/",
	},
}

// OwnFrame is the innermost frame that belongs to the application, with its place
// in the stack. ok is false where all of the stack is of runtimes and libraries.
func OwnFrame(t *fact.Thread) (frame int, ok bool) {
	for i := range t.Frames {
		f := &t.Frames[i]
		fn := strings.TrimLeft(strings.TrimPrefix(f.Func, "__GI_"), "_")
		if fn == "??" || fn == "" || strings.HasPrefix(fn, "0x") {
			continue
		}
		if t.Runtime == "python" && (strings.Contains(f.File, "/lib/python") || strings.HasPrefix(f.File, "<frozen")) {
			continue
		}
		if !begins(fn, foreign.funcs) && (t.Runtime == "jvm" || t.Runtime == "python" || !begins(f.File, foreign.files)) {
			return i, true
		}
	}
	return 0, false
}

func begins(s string, with []string) bool {
	for _, w := range with {
		if strings.HasPrefix(s, w) {
			return true
		}
	}
	return false
}

// FrameText is "cache_get at thumbd.c:9".
func FrameText(f fact.Frame) string {
	if f.File == "" || f.Line == 0 {
		return f.Func
	}
	return fmt.Sprintf("%s at %s:%d", f.Func, path.Base(f.File), f.Line)
}

// Where is the frame that says where the thread stands: the innermost of the
// application, else the innermost with a name.
func Where(t *fact.Thread) (fact.Frame, bool) {
	if i, ok := OwnFrame(t); ok {
		return t.Frames[i], true
	}
	for _, f := range t.Frames {
		if f.Func != "??" && !strings.HasPrefix(f.Func, "0x") {
			return f, true
		}
	}
	return fact.Frame{}, false
}

// Activity is what a thread does at the moment of a sample.
type Activity int

// The activities. DoesWork is the thread's own work or an unknown call.
const (
	DoesWork    Activity = iota
	DoesNetwork          // reads from, writes to or connects a socket
	DoesPoll             // waits for events of many descriptors, or for a connection
	DoesStorage          // reads or writes a file
	DoesSleep            // waits for time to pass
	DoesWait             // waits for another thread: a condition, a queue, a join
	DoesLock             // waits for a lock
)

// activities are functions near the top of a stack that tell what a thread does.
var activities = map[string]Activity{
	"epoll_wait": DoesPoll, "epoll_pwait": DoesPoll, "poll": DoesNetwork, "ppoll": DoesNetwork, "select": DoesPoll, "pselect64": DoesPoll, "kevent": DoesPoll,
	"accept": DoesPoll, "accept4": DoesPoll, "libc_accept": DoesPoll, "sigwait": DoesPoll, "sigwaitinfo": DoesPoll, "sigtimedwait": DoesPoll,
	"recv": DoesNetwork, "recvfrom": DoesNetwork, "recvmsg": DoesNetwork, "send": DoesNetwork, "sendto": DoesNetwork, "sendmsg": DoesNetwork, "connect": DoesNetwork,
	"libc_recv": DoesNetwork, "libc_recvfrom": DoesNetwork, "libc_send": DoesNetwork, "libc_connect": DoesNetwork,
	"read": DoesStorage, "libc_read": DoesStorage, "pread64": DoesStorage, "libc_pread64": DoesStorage, "write": DoesStorage, "libc_write": DoesStorage, "pwrite64": DoesStorage, "fsync": DoesStorage, "fdatasync": DoesStorage, "open64": DoesStorage, "libc_open64": DoesStorage,
	"nanosleep": DoesSleep, "clock_nanosleep": DoesSleep, "sleep": DoesSleep, "usleep": DoesSleep, "clock_nanosleep_time64": DoesSleep,
	"pthread_cond_wait": DoesWait, "pthread_cond_timedwait": DoesWait, "pthread_cond_clockwait": DoesWait, "pthread_join": DoesWait, "sem_wait": DoesWait, "do_futex_wait": DoesWait, "futex_abstimed_wait_cancelable64": DoesWait,
	"pthread_clockjoin_ex": DoesWait, "wait4": DoesWait, "waitpid": DoesWait, "waitid": DoesWait,
	"lll_lock_wait": DoesLock, "pthread_mutex_lock": DoesLock, "pthread_rwlock_rdlock": DoesLock, "pthread_rwlock_wrlock": DoesLock,

	"java.lang.Thread.sleep": DoesSleep, "java.lang.Thread.sleep0": DoesSleep, "java.lang.Object.wait": DoesWait, "java.lang.Object.wait0": DoesWait,
	"jdk.internal.misc.Unsafe.park": DoesWait, "sun.misc.Unsafe.park": DoesWait,
	"java.net.SocketInputStream.socketRead0": DoesNetwork, "sun.nio.ch.SocketDispatcher.read0": DoesNetwork, "sun.nio.ch.Net.poll": DoesNetwork, "sun.nio.ch.Net.connect0": DoesNetwork,
	"java.net.SocketOutputStream.socketWrite0": DoesNetwork, "sun.nio.ch.SocketDispatcher.write0": DoesNetwork, "java.net.PlainSocketImpl.socketConnect": DoesNetwork,
	"sun.nio.ch.NioSocketImpl.park": DoesNetwork, "sun.nio.ch.Net.accept": DoesPoll, "java.net.PlainSocketImpl.socketAccept": DoesPoll, "sun.nio.ch.NioSocketImpl.accept": DoesPoll,
	"sun.nio.ch.EPoll.wait": DoesPoll, "sun.nio.ch.EPollArrayWrapper.epollWait": DoesPoll,
	"java.io.FileInputStream.readBytes": DoesStorage, "java.io.FileOutputStream.writeBytes": DoesStorage, "sun.nio.ch.FileDispatcherImpl.read0": DoesStorage, "sun.nio.ch.FileDispatcherImpl.write0": DoesStorage, "sun.nio.ch.UnixFileDispatcherImpl.write0": DoesStorage, "sun.nio.ch.UnixFileDispatcherImpl.read0": DoesStorage,
}

// pythonWaits are modules of Python's library whose functions wait, by file name.
var pythonWaits = map[string]Activity{
	"selectors.py": DoesPoll, "socket.py": DoesNetwork, "ssl.py": DoesNetwork, "queue.py": DoesWait, "subprocess.py": DoesWait, "popen_fork.py": DoesWait,
}

// Does tells what the thread does, by the functions at the top of its stack, and
// names the function that tells.
func Does(t *fact.Thread) (Activity, fact.Frame) {
	if t.Runtime == "python" && len(t.Frames) > 0 {
		f := t.Frames[0]
		file := path.Base(f.File)
		if a, ok := pythonWaits[file]; ok {
			return a, f
		}
		if file == "threading.py" && (f.Func == "wait" || f.Func == "acquire" || f.Func == "join" || f.Func == "_wait_for_tstate_lock") {
			return DoesWait, f
		}
	}
	for i, f := range t.Frames[:min(len(t.Frames), 6)] {
		fn := strings.TrimPrefix(f.Func, "__GI_")
		fn, _, _ = strings.Cut(fn, "@")
		if a, ok := activities[strings.TrimLeft(fn, "_")]; ok {
			// A wait of sockets built on the wait for events of one descriptor.
			if a == DoesPoll && i+1 < len(t.Frames) && strings.HasPrefix(t.Frames[i+1].Func, "sun.nio.ch.NioSocketImpl.park") {
				a = DoesNetwork
			}
			return a, f
		}
	}
	return DoesWork, fact.Frame{}
}

// String is the activity in words, behind the name of a thread: "reads or writes a
// socket".
func (a Activity) String() string {
	return [...]string{
		"is running", "is in a call on a socket", "waits for events or connections", "is in a call on a file", "sleeps", "waits for another thread", "waits for a lock",
	}[a]
}

// Idle reports whether threads are expected to stand in the activity for long.
func (a Activity) Idle() bool { return a == DoesPoll || a == DoesWait }

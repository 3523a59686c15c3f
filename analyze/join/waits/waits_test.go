package waits

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

func TestOwnerOf(t *testing.T) {
	for fn, want := range map[string]string{
		"example.com/x.(*Store).processRaft.func1":       "example.com/x.Store",
		"example.com/x.(*Store[...]).get":                "example.com/x.Store",
		"example.com/x.Store.String":                     "example.com/x.Store",
		"example.com/x.monitor.func1.2":                  "example.com/x.monitor",
		"main.main":                                      "main.main",
		"github.com/a.b/c.(*T).m":                        "github.com/a.b/c.T",
		"example.com/x.(*T).enable.newDeleterFunc.func1": "example.com/x.T",
		"runtime.gopark":                                 "runtime.gopark",
		"non-Go function":                                "non-Go function",
	} {
		require.Equal(t, want, ownerOf(fn), fn)
	}
}

func TestPointers(t *testing.T) {
	type found struct {
		i int
		p uint64
	}
	for args, want := range map[string][]found{
		"0xc000010000":                           {{0, 0xc000010000}},
		"0xc000010000?":                          nil,
		"0x1, 0xc000010000, {0x7ccd58, 0x6?}":    {{1, 0xc000010000}, {2 + inBraces, 0x7ccd58}},
		"{{0xc000010000, 0x4}, 0xc000020000}, 3": {{inBraces, 0xc000010000}, {inBraces, 0xc000020000}},
		"...":                                    nil,
		"":                                       nil,
		"0xffffffffffffffff":                     nil,
		"0xc000010000, ...":                      {{0, 0xc000010000}},
	} {
		var got []found
		eachPointer(args, func(i int, p uint64) { got = append(got, found{i, p}) })
		require.Equal(t, want, got, args)
	}
}

func stackOf(state string, funcs ...string) *Stack {
	s := &Stack{State: state}
	for i, fn := range funcs {
		s.Frames = append(s.Frames, fact.Frame{Func: fn, File: "/src/app/x.go", Line: i + 1})
	}
	analyzeStack(s, newIdleShapes())
	return s
}

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		want  Kind
		state string
		funcs []string
	}{
		{OnMutex, "semacquire", []string{"sync.runtime_SemacquireMutex", "sync.(*Mutex).lockSlow", "main.f"}},
		{OnMutex, "semacquire", []string{"sync.runtime_Semacquire", "sync.(*Mutex).Lock", "main.f"}},
		{OnMutex, "sync.Mutex.Lock", []string{"internal/sync.(*Mutex).lockSlow", "sync.(*RWMutex).Lock", "main.f"}},
		{OnWLock, "semacquire", []string{"sync.runtime_SemacquireMutex", "sync.(*RWMutex).Lock", "main.f"}},
		{OnRLock, "semacquire", []string{"sync.runtime_SemacquireMutex", "sync.(*RWMutex).RLock", "main.f"}},
		{OnRLock, "sync.RWMutex.RLock", []string{"sync.(*RWMutex).RLock", "main.f"}},
		{OnGroup, "semacquire", []string{"sync.runtime_Semacquire", "sync.(*WaitGroup).Wait", "main.f"}},
		{OnFD, "semacquire", []string{"internal/poll.runtime_Semacquire", "internal/poll.(*fdMutex).rwlock", "main.f"}},
		{OnRuntime, "GC sweep wait", []string{"runtime.gopark", "runtime.bgsweep"}},
		{OnGC, "GC assist wait", []string{"runtime.gcAssistAlloc", "main.f"}},
		// Grouped profiles print no state.
		{OnSend, "", []string{"runtime.gopark", "runtime.chansend", "runtime.chansend1", "main.f"}},
		{OnSelect, "", []string{"runtime.gopark", "runtime.selectgo", "main.f"}},
		{OnIO, "", []string{"internal/poll.runtime_pollWait", "main.f"}},
		{Parked, "", []string{"main.f"}},
	} {
		require.Equal(t, c.want, stackOf(c.state, c.funcs...).Kind, "%s %v", c.state, c.funcs)
	}
}

// TestIdleShapes checks that every line of the data file has a reason, and that
// waits for locks are never idle.
func TestIdleShapes(t *testing.T) {
	shapes := newIdleShapes()
	require.Greater(t, len(shapes), 50)
	for fn, s := range shapes {
		require.NotEmpty(t, s.reason, fn)
	}
	require.NotEmpty(t, stackOf("IO wait", "internal/poll.runtime_pollWait", "net.(*TCPListener).Accept", "main.main").Idle)
	require.Empty(t, stackOf("sync.Mutex.Lock", "internal/sync.(*Mutex).lockSlow", "net.(*TCPListener).Accept", "main.main").Idle)
	// A handler runs below the connection's loop; without one the connection rests.
	require.NotEmpty(t, stackOf("IO wait", "net.(*conn).Read", "net/http.(*conn).serve").Idle)
	require.Empty(t, stackOf("chan receive", "main.handle", "net/http.serverHandler.ServeHTTP", "net/http.(*conn).serve").Idle)
}

// TestLockChain checks that a chain of locks ends at its root, that the root counts all
// who are blocked, and that a cycle is found behind a chain that leads into it.
func TestLockChain(t *testing.T) {
	locks := make([]*Lock, 5)
	d := &Dump{}
	for i := range locks {
		locks[i] = &Lock{rank: i, dump: d, writers: 1}
	}
	d.Locks = locks
	link := func(from, to int) {
		locks[from].nexts = append(locks[from].nexts, locks[to])
		locks[from].Next = locks[to]
	}
	link(0, 1) // 0 -> 1, and 2 -> 3 -> 4 -> 3
	link(2, 3)
	link(3, 4)
	link(4, 3)
	d.findRoots()
	require.Equal(t, locks[1], locks[0].Root())
	require.Equal(t, locks[1], locks[1].Root())
	require.Equal(t, locks[3], locks[2].Root())
	require.Equal(t, locks[3], locks[4].Root())
	require.Equal(t, []*Lock{locks[3], locks[4]}, locks[3].Cycle)
	require.Empty(t, locks[1].Cycle)
}

// TestInferStates checks what the program counters of debug=1 texts say, with those
// of Go 1.16 and 1.26.
func TestInferStates(t *testing.T) {
	for _, c := range []struct {
		state string
		top   string
		pcs   []uint64
	}{
		{"", "internal/poll.runtime_pollWait", []uint64{0x48a2ee, 0x44c197}},
		{"chan receive", "main.(*pool).worker", []uint64{0x48a2ee, 0x41a5ae, 0x41a0f2}},
		{"chan receive", "main.main", []uint64{0x48a2ee, 0x41a5ae, 0x41a0d2}},
		{"chan receive (nil chan)", "main.wait", []uint64{0x48a2ee, 0x41a1f0, 0x41a0d2}},
		{"chan send", "main.send", []uint64{0x48a2ee, 0x4195bc, 0x4191b7}},
		{"select", "main.(*lease).campaign", []uint64{0x48a2ee, 0x466f05}},
		{"select (no cases)", "main.park", []uint64{0x48a2ee, 0x466d10}},
		{"running", "main.spin", nil},
		{"running", "main.spin", []uint64{0x467b10, 0x48be25}},
		{"", "syscall.Syscall", nil},
		{"", "sync.runtime_SemacquireMutex", []uint64{0x48a2ee, 0x467d92, 0x467d69}},
	} {
		require.Equal(t, c.state, inferred(c.top, c.pcs), "%s %#x", c.top, c.pcs)
	}
}

// inferred is the state of one goroutine among others that wait in every way.
func inferred(top string, pcs []uint64) string {
	groups, hidden := []*fact.Goroutine{}, [][]uint64{}
	add := func(top string, pcs ...uint64) {
		groups = append(groups, &fact.Goroutine{Frames: []fact.Frame{{Func: top}}})
		hidden = append(hidden, pcs)
	}
	add(top, pcs...)
	add("time.Sleep", 0x48a2ee)
	add("main.range", 0x48a2ee, 0x41a5ae, 0x41a0f2)
	add("main.loop", 0x48a2ee, 0x466f05)
	inferStates(groups, hidden)
	return groups[0].State
}

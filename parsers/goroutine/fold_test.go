package goroutine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFold(t *testing.T) {
	const stack = `goroutine 36 [IO wait]:
internal/poll.runtime_pollWait(0x7f22f4c37200, 0x77)
	/usr/local/go/src/runtime/netpoll.go:351 +0x85
internal/poll.(*pollDesc).wait(0x26e7c9762200?, 0x26e7c991765e?, 0x0)
	/usr/local/go/src/internal/poll/fd_poll_runtime.go:84 +0x27
net.(*conn).Write(0x26e7c965a048, {0x26e7c9916000?, 0x60?, 0x7e1dc0?})
	/usr/local/go/src/net/net.go:208 +0x45
bufio.(*Writer).Flush(0x26e7c96d4100)
	/usr/local/go/src/bufio/bufio.go:682 +0xea
main.(*Conn).flush(...)
	/src/conn.go:12
created by main.serve in goroutine 1
	/src/conn.go:9 +0x9b`
	require.Equal(t, `goroutine 36 [IO wait]:
internal/poll.runtime_pollWait(0x7f22f4c37200, 0x77)
	/usr/local/go/src/runtime/netpoll.go:351 +0x85
	... 2 frames of the runtime or the standard library
bufio.(*Writer).Flush(0x26e7c96d4100)
	/usr/local/go/src/bufio/bufio.go:682 +0xea
main.(*Conn).flush(...)
	/src/conn.go:12
created by main.serve in goroutine 1
	/src/conn.go:9 +0x9b`, fold(stack))
	require.Equal(t, "566 @ 0x487f0e\n#\t0x1\tmain.f", fold("566 @ 0x487f0e\n#\t0x1\tmain.f"), "a group is no stack")
}

func TestFunction(t *testing.T) {
	for line, want := range map[string]string{
		"main.(*hub).run(0xc000012345, {0x1, 0x2})": "main.(*hub).run",
		"main.(*Bus[...]).Publish(0x1)":             "main.(*Bus[...]).Publish",
		"main.f(...)":                               "main.f",
		"panic({0x7442c0?, 0xa8cd00?})":             "panic",
	} {
		require.Equal(t, want, function(line))
	}
}

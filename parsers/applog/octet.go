package applog

import (
	"bufio"
	"bytes"
	"io"
	"strconv"

	"github.com/culprit-dev/culprit/analyze"
)

// Syslog over TCP may count the bytes of each message instead of ending it with a
// newline (RFC 6587, 3.4.1). What nc or a relay wrote of such a stream is one line:
//
//	93 <165>1 2026-11-21T05:57:10Z web-1 shop 4711 - - listening106 <163>1 2026-...

// maxOctets is the longest message that is believed.
const maxOctets = 64 << 10

// octets is the length of the count with its blank and of the message behind it,
// zero if b does not begin with such a message.
func octets(b []byte) (prefix, size int) {
	i := bytes.IndexByte(b[:min(len(b), 7)], ' ')
	if i < 1 || i+1 >= len(b) || b[i+1] != '<' {
		return 0, 0
	}
	n, err := strconv.Atoi(string(b[:i]))
	if err != nil || n < 5 || n > maxOctets || b[0] == '0' {
		return 0, 0
	}
	return i + 1, n
}

// octetCounted reports whether a text is a stream of counted messages of which the
// first two share a line.
func octetCounted(head []byte) bool {
	prefix, size := octets(head)
	end := prefix + size
	if prefix == 0 || end >= len(head) || head[end-1] == '\n' {
		return false
	}
	next, _ := octets(head[end:])
	return next > 0
}

// embedCounted hands over the messages one a line.
func embedCounted(in *analyze.Input, out *analyze.Sink) {
	out.Embed(&analyze.Input{
		Path: in.Path + "!messages", Size: -1, ModTime: in.ModTime, Host: in.Host,
		Note: "counted messages (RFC 6587), here one a line",
		Open: func() (io.ReadCloser, error) {
			r, err := in.Open()
			if err != nil {
				return nil, err
			}
			return struct {
				io.Reader
				io.Closer
			}{&octetReader{r: bufio.NewReaderSize(r, maxOctets+16)}, r}, nil
		},
	})
}

// octetReader yields counted messages as lines. What follows no count is passed on
// as it is.
type octetReader struct {
	r    *bufio.Reader
	left int  // bytes of the message being read
	end  bool // its newline is still to come
}

func (o *octetReader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if o.end {
		o.end = false
		b[0] = '\n'
		return 1, nil
	}
	if o.left == 0 {
		head, err := o.r.Peek(8)
		prefix, size := octets(head)
		if prefix == 0 && err == nil {
			return o.r.Read(b)
		}
		if prefix == 0 {
			n := copy(b, head)
			_, _ = o.r.Discard(n)
			if n > 0 {
				err = nil
			}
			return n, err
		}
		_, _ = o.r.Discard(prefix)
		o.left = size
	}
	n, err := o.r.Read(b[:min(len(b), o.left)])
	o.left -= n
	o.end = o.left == 0 && n > 0 && b[n-1] != '\n'
	return n, err
}

package rulecase

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CompileCapture turns a capture written as text into the bytes of a pcap file.
// A test bundle writes NAME.pcap.txt, and the rule sees NAME.pcap.
//
//	flow 10.0.0.1:40000 > 10.0.0.2:80     # C is the left side, S the right one
//	0.000  C>S SYN
//	+0.001 S>C SYN,ACK
//	+0.001 C>S ACK
//	C>S data 100
//	S>C "HTTP/1.1 200 OK\r\n\r\n"
//	+8 S>C RST,ACK ttl=61
//
// A packet is `[TIME] [FLOW] DIRECTION WHAT [WORD ...]`. TIME is seconds (or a Go
// duration) since the start of the capture, with '+' since the packet before, and
// 100 µs after that one when left out. FLOW is the name of a flow that
// `flow NAME: A > B` opened; the flow opened last needs none. '#' starts a comment.
//
// WHAT is one of
//
//	FLAG,FLAG          SYN ACK FIN RST PSH URG ECE CWR, exactly these
//	data N             PSH,ACK with N bytes of payload
//	"text"             PSH,ACK with that payload, a Go string
//	rexmit             the last segment of this side once more
//	keepalive          ACK without payload, one below the next sequence number
//	icmp TYPE/CODE     an ICMP error of this side that quotes the other's last packet
//
// and two that stand for several packets and have no direction:
//
//	open               SYN, SYN,ACK, ACK
//	exchange N M       N bytes from C, their ACK, M bytes from S, their ACK;
//	                   with in=D the answer begins D later
//	close C            FIN,ACK of C (or S), FIN,ACK of the other, ACK
//
// Sequence and acknowledgement numbers follow from what was sent before: a
// receiver acknowledges what has arrived without a hole. Windows, IP-IDs and
// options are those of Linux: a RST of a side that has sent nothing, and one
// without ACK, carries window 0, IP-ID 0 and no options, a RST,ACK of a live
// connection keeps them. WORDs override:
//
//	seq= ack=          N counts from the ISN as in Wireshark, +N and -N from what it
//	                   would have been, 0xN is the raw number
//	win= ttl= ipid=    raw fields; ipid=copy takes that of the other side's last packet
//	mss= wscale=       options of a SYN; "off" leaves one out
//	ts= sack=          on or off
//	opts=none          no TCP options at all
//	len=N              payload for a packet that names only flags
//	from=ADDR mtu=N    of an ICMP error
//	snap=N             keeps N bytes of the frame
//	lost               captured, but it does not reach the other side
//	unseen             reaches the other side, but is not captured
//	dup                captured twice
//
// Directives, one a line:
//
//	link ethernet      or sll, sll2, raw
//	start TIME         RFC 3339; default 2026-11-21T00:00:00Z
//	nano               nanosecond timestamps
//	snaplen N          keeps N bytes of every frame
//	unsorted           frames in the order written; otherwise they are sorted by time
//	cut N              the file lacks its last N bytes
//	flow [udp] [NAME:] A > B [WORD ...]
//	                   a new flow with new ISNs, also for an address pair used before;
//	                   words as above (ttl= win= mss= wscale= ts= sack=), vlan=N, and
//	                   nat=NAME: flow NAME behind an address translation, with its
//	                   ISNs and IP-IDs
//	set C|S WORD ...   changes win=, ttl= or ipid= of one side from here on
//	raw HEX            a frame of these bytes
//	repeat N every=D [at=T]
//	                   repeats the lines up to `end`; times in it count from the start
//	                   of the round, and a port written 40000+ is one higher in each.
//	                   The first round starts at T, else with the packet before
func CompileCapture(text []byte) ([]byte, error) {
	lines, err := splitCapture(text)
	if err != nil {
		return nil, err
	}
	c := &capture{
		start: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
		link:  linkEthernet, snaplen: 262144, flows: map[string]*captureFlow{},
	}
	if err := c.block(lines); err != nil {
		return nil, err
	}
	return c.file()
}

// captureLine is a line of the notation, split into words.
type captureLine struct {
	number int
	words  []string
}

// capture is a capture being written.
type capture struct {
	start    time.Time
	link     int
	nano     bool
	snaplen  int
	unsorted bool
	cut      int

	now    time.Duration // of the packet before
	base   time.Duration // start of the round
	round  int
	flows  map[string]*captureFlow
	opened int
	flow   *captureFlow // opened last
	frames []captureFrame
}

type captureFrame struct {
	at   time.Duration
	data []byte
	snap int
}

// splitCapture splits the text into words; a quoted string is one word and keeps
// its quotes.
func splitCapture(text []byte) ([]captureLine, error) {
	var out []captureLine
	for i, line := range strings.Split(string(text), "\n") {
		var words []string
		rest := strings.TrimSpace(line)
		for rest != "" && rest[0] != '#' {
			end := strings.IndexAny(rest, " \t")
			if rest[0] == '"' {
				quoted, err := strconv.QuotedPrefix(rest)
				if err != nil {
					return nil, fmt.Errorf("line %d: a string without its end", i+1)
				}
				end = len(quoted)
			} else if end < 0 {
				end = len(rest)
			}
			words = append(words, rest[:end])
			rest = strings.TrimSpace(rest[end:])
		}
		if len(words) > 0 {
			out = append(out, captureLine{i + 1, words})
		}
	}
	return out, nil
}

// block compiles lines, and the blocks of `repeat` in them by calling itself.
func (c *capture) block(lines []captureLine) error {
	for len(lines) > 0 {
		l := lines[0]
		lines = lines[1:]
		var err error
		if l.words[0] == "repeat" {
			var body []captureLine
			if body, lines, err = captureBody(lines); err == nil {
				err = c.repeat(l.words[1:], body)
			}
		} else {
			err = c.line(l.words)
		}
		var placed *captureError
		if err != nil && !errors.As(err, &placed) {
			err = &captureError{l.number, err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// captureError is an error with its line.
type captureError struct {
	line int
	err  error
}

func (e *captureError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

// Unwrap returns the error without its line.
func (e *captureError) Unwrap() error { return e.err }

// captureBody cuts the lines up to the matching `end`.
func captureBody(lines []captureLine) (body, rest []captureLine, err error) {
	depth := 1
	for i, l := range lines {
		switch l.words[0] {
		case "repeat":
			depth++
		case "end":
			if depth--; depth == 0 {
				return lines[:i], lines[i+1:], nil
			}
		}
	}
	return nil, nil, fmt.Errorf("repeat without end")
}

// maxRounds keeps a slip of the pen from writing gigabytes.
const maxRounds = 100_000

func (c *capture) repeat(words []string, body []captureLine) error {
	if len(words) < 2 || len(words) > 3 || !strings.HasPrefix(words[1], "every=") {
		return fmt.Errorf("want repeat N every=D [at=T]")
	}
	n, err := strconv.Atoi(words[0])
	if err != nil || n < 0 || n > maxRounds {
		return fmt.Errorf("repeat %q: want a count up to %d", words[0], maxRounds)
	}
	every, err := captureDuration(strings.TrimPrefix(words[1], "every="))
	if err != nil {
		return err
	}
	base, round, start := c.base, c.round, c.now
	if len(words) == 3 {
		at, err := captureDuration(strings.TrimPrefix(words[2], "at="))
		if err != nil {
			return err
		}
		start = c.base + at
	}
	for i := range n {
		c.base = start + time.Duration(i)*every
		c.now, c.round = c.base, i
		if err := c.block(body); err != nil {
			return err
		}
	}
	c.base, c.round = base, round
	return nil
}

// line compiles a directive or a packet.
func (c *capture) line(words []string) error {
	args := words[1:]
	need := func(n int) error {
		if len(args) != n {
			return fmt.Errorf("%s takes %d words, has %d", words[0], n, len(args))
		}
		return nil
	}
	switch words[0] {
	case "link":
		if err := need(1); err != nil {
			return err
		}
		link, ok := map[string]int{"ethernet": linkEthernet, "sll": linkSLL, "sll2": linkSLL2, "raw": linkRaw}[args[0]]
		if !ok {
			return fmt.Errorf("unknown link %q", args[0])
		}
		c.link = link
		return nil
	case "start":
		if err := need(1); err != nil {
			return err
		}
		var err error
		c.start, err = time.Parse(time.RFC3339Nano, args[0])
		return err
	case "nano":
		c.nano = true
		return need(0)
	case "unsorted":
		c.unsorted = true
		return need(0)
	case "snaplen", "cut":
		if err := need(1); err != nil {
			return err
		}
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 {
			return fmt.Errorf("%s %q: want a number", words[0], args[0])
		}
		if words[0] == "cut" {
			c.cut = n
		} else {
			c.snaplen = n
		}
		return nil
	case "flow":
		return c.openFlow(args)
	case "set":
		return c.set(args)
	case "end":
		return fmt.Errorf("end without repeat")
	}
	return c.packet(words)
}

// captureDuration reads seconds or a Go duration.
func captureDuration(s string) (time.Duration, error) {
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		return time.Duration(v*1e9 + 0.5), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no time", s)
	}
	return d, nil
}

// file writes the frames as a little-endian pcap file.
func (c *capture) file() ([]byte, error) {
	if !c.unsorted {
		slices.SortStableFunc(c.frames, func(a, b captureFrame) int { return cmp.Compare(a.at, b.at) })
	}
	var out bytes.Buffer
	le := binary.LittleEndian
	magic, unit := uint32(0xa1b2c3d4), time.Microsecond
	if c.nano {
		magic, unit = 0xa1b23c4d, time.Nanosecond
	}
	head := le.AppendUint32(nil, magic)
	head = le.AppendUint16(head, 2)
	head = le.AppendUint16(head, 4)
	head = le.AppendUint64(head, 0) // zone and accuracy, always zero
	head = le.AppendUint32(head, uint32(c.snaplen))
	out.Write(le.AppendUint32(head, uint32(c.link)))
	for _, f := range c.frames {
		at := c.start.Add(f.at)
		kept := min(len(f.data), f.snap, c.snaplen)
		rec := le.AppendUint32(nil, uint32(at.Unix()))
		rec = le.AppendUint32(rec, uint32(at.Nanosecond()/int(unit)))
		rec = le.AppendUint32(rec, uint32(kept))
		out.Write(le.AppendUint32(rec, uint32(len(f.data))))
		out.Write(f.data[:kept])
	}
	if c.cut > out.Len() {
		return nil, fmt.Errorf("cut %d: the file has only %d bytes", c.cut, out.Len())
	}
	return out.Bytes()[:out.Len()-c.cut], nil
}

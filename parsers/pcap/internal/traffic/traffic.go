// Package traffic writes large captures for benchmarks: many TCP conversations at
// a time, with a little of all that goes wrong. The same options give the same
// bytes on every machine. Its test writes such a capture to a file.
package traffic

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Options say what to write; zero fields take the defaults.
type Options struct {
	// Flows is how many conversations there are, default 1000.
	Flows int
	// Bytes is how long the file becomes, roughly; default 16 KiB a flow.
	Bytes int64
	// Open is how many conversations are open at a time, default 500.
	Open int
	Seed uint64
}

// Write writes a pcap file with Ethernet frames.
func Write(w io.Writer, o Options) error {
	if o.Flows <= 0 {
		o.Flows = 1000
	}
	if o.Bytes <= 0 {
		o.Bytes = int64(o.Flows) << 14
	}
	if o.Open <= 0 {
		o.Open = 500
	}
	if int64(o.Flows)*minFlow > o.Bytes {
		return fmt.Errorf("%d flows need at least %d bytes", o.Flows, int64(o.Flows)*minFlow)
	}
	g := &generator{w: bufio.NewWriterSize(w, 1<<20), rng: o.Seed*2 + 1, now: 1_795_000_000_000_000}
	g.header()
	share := o.Bytes / int64(o.Flows)
	var open []*conversation
	for made := 0; made < o.Flows || len(open) > 0; {
		for len(open) < o.Open && made < o.Flows {
			open = append(open, g.conversation(made, share))
			made++
		}
		i := int(g.random() % uint64(len(open)))
		g.now += int64(g.random() % 40)
		if !open[i].step(g) {
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
		}
	}
	return g.w.Flush()
}

// minFlow is a handshake, one exchange and a close.
const minFlow = 900

// generator holds what is common to all conversations.
type generator struct {
	w   *bufio.Writer
	rng uint64
	now int64 // microseconds
	buf [2048]byte
}

// random is splitmix64: small, fast, and the same everywhere.
func (g *generator) random() uint64 {
	g.rng += 0x9e3779b97f4a7c15
	z := g.rng
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (g *generator) chance(perMille uint64) bool { return g.random()%1000 < perMille }

func (g *generator) header() {
	le := binary.LittleEndian
	h := le.AppendUint32(nil, 0xa1b2c3d4)
	h = le.AppendUint16(h, 2)
	h = le.AppendUint16(h, 4)
	h = le.AppendUint64(h, 0)
	h = le.AppendUint32(h, 262144)
	h = le.AppendUint32(h, 1)
	g.w.Write(h)
}

// conversation is a client that asks and a server that answers.
type conversation struct {
	addr   [2]uint32
	port   [2]uint16
	seq    [2]uint32
	id     [2]uint16
	tsval  uint32
	left   int64 // bytes of the file that it may still take
	answer int   // bytes of the answer still to send
	unread int   // segments that the client has not acknowledged
	state  int
}

// The states of a conversation.
const (
	starting = iota
	accepted
	asking
	answering
	closing
	closed
	ended
)

func (g *generator) conversation(n int, share int64) *conversation {
	c := &conversation{
		addr: [2]uint32{0x0a000000 + uint32(n/28000), 0x0a640000 + uint32(n%7)},
		port: [2]uint16{uint16(32768 + n%28000), uint16(8080 + n%5)},
		seq:  [2]uint32{uint32(g.random()), uint32(g.random())},
		// Sizes differ by a factor of three, like those of real pages.
		left: share/2 + int64(g.random()%uint64(share+1)), tsval: uint32(g.random()),
	}
	c.id = [2]uint16{uint16(g.random()), uint16(g.random())}
	return c
}

// step writes the next packet; it returns false when the conversation is over.
func (c *conversation) step(g *generator) bool {
	const mss = 1448
	switch c.state {
	case starting:
		c.send(g, 0, fSYN, 0)
		c.state = accepted
	case accepted:
		if g.chance(3) { // nobody listens
			c.send(g, 1, fRST|fACK, 0)
			return false
		}
		c.send(g, 1, fSYN|fACK, 0)
		c.send(g, 0, fACK, 0)
		c.state = asking
	case asking:
		if c.left <= 0 {
			c.state = closing
			return c.step(g)
		}
		c.send(g, 0, fPSH|fACK, 100+int(g.random()%400))
		c.answer, c.state = 1+int(g.random()%uint64(max(min(c.left, 12000), 1))), answering
	case answering:
		n := min(c.answer, mss)
		c.send(g, 1, fACK, n)
		if g.chance(2) {
			c.seq[1] -= uint32(n)
			c.send(g, 1, fACK, n) // sent again
		}
		if c.answer, c.unread = c.answer-n, c.unread+1; c.unread >= 2 || c.answer == 0 {
			c.send(g, 0, fACK, 0)
			c.unread = 0
		}
		if c.answer == 0 {
			c.state = asking
		}
	case closing:
		if g.chance(5) {
			c.send(g, 1, fRST|fACK, 0)
			return false
		}
		c.send(g, 1, fFIN|fACK, 0)
		c.state = closed
	case closed:
		c.send(g, 0, fFIN|fACK, 0)
		c.state = ended
	case ended:
		c.send(g, 1, fACK, 0)
		return false
	}
	return true
}

// The flags of a TCP header.
const (
	fFIN = 1
	fSYN = 2
	fRST = 4
	fPSH = 8
	fACK = 16
)

// send writes one packet of a side.
func (c *conversation) send(g *generator, from, flags, payload int) {
	to := 1 - from
	options := []byte{1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0}
	if flags&fSYN != 0 {
		options = []byte{2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7}
	}
	be, le := binary.BigEndian, binary.LittleEndian
	const record, ether, ip = 16, 14, 20
	tcp := 20 + len(options)
	frame := ether + ip + tcp + payload
	b := g.buf[:record+ether+ip+tcp]
	le.PutUint32(b, uint32(g.now/1_000_000))
	le.PutUint32(b[4:], uint32(g.now%1_000_000))
	le.PutUint32(b[8:], uint32(frame))
	le.PutUint32(b[12:], uint32(frame))
	e := b[record:]
	copy(e, []byte{2, 0, 0, 0, 0, byte(to), 2, 0, 0, 0, 0, byte(from), 8, 0})
	h := e[ether:]
	copy(h, []byte{0x45, 0})
	be.PutUint16(h[2:], uint16(ip+tcp+payload))
	c.id[from]++
	be.PutUint16(h[4:], c.id[from])
	copy(h[6:], []byte{0x40, 0, 64, 6, 0, 0})
	be.PutUint32(h[12:], c.addr[from])
	be.PutUint32(h[16:], c.addr[to])
	t := h[ip:]
	be.PutUint16(t, c.port[from])
	be.PutUint16(t[2:], c.port[to])
	be.PutUint32(t[4:], c.seq[from])
	be.PutUint32(t[8:], 0)
	if flags&fACK != 0 {
		be.PutUint32(t[8:], c.seq[to])
	}
	t[12], t[13] = byte(tcp/4)<<4, byte(flags)
	be.PutUint16(t[14:], 501)
	be.PutUint32(t[16:], 0)
	c.tsval++
	stamp := len(options) - 8
	if flags&fSYN != 0 {
		stamp = 8
	}
	be.PutUint32(options[stamp:], c.tsval)
	copy(t[20:], options)
	g.w.Write(b)
	for n := payload; n > 0; n -= len(text) {
		g.w.WriteString(text[:min(n, len(text))])
	}
	c.seq[from] += uint32(payload)
	if flags&(fSYN|fFIN) != 0 {
		c.seq[from]++
	}
	c.left -= int64(record + frame)
}

// text is what payload is made of; it compresses about as well as real payload
// does when it is text.
const text = "0123456789 the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs\n"

package pcap

import (
	"encoding/binary"
	"net/netip"
)

// address is an IP address, IPv4 as ::ffff:a.b.c.d, in a form that compares fast.
type address struct{ hi, lo uint64 }

func address4(b []byte) address {
	return address{lo: 0xffff<<32 | uint64(binary.BigEndian.Uint32(b))}
}

func address6(b []byte) address {
	return address{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (a address) bytes() (b [16]byte) {
	binary.BigEndian.PutUint64(b[:], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return b
}

// endpoint is one end of a conversation.
type endpoint struct {
	addr address
	port uint16
}

func (e endpoint) less(o endpoint) bool {
	switch {
	case e.addr.hi != o.addr.hi:
		return e.addr.hi < o.addr.hi
	case e.addr.lo != o.addr.lo:
		return e.addr.lo < o.addr.lo
	}
	return e.port < o.port
}

func (e endpoint) ip() netip.Addr { return netip.AddrFrom16(e.addr.bytes()).Unmap() }

func (e endpoint) addrPort() netip.AddrPort { return netip.AddrPortFrom(e.ip(), e.port) }

// String is "addr:port", IPv6 in brackets.
func (e endpoint) String() string { return e.addrPort().String() }

// flowKey is a five-tuple without direction: a is the lower end.
type flowKey struct {
	a, b  endpoint
	proto uint8
}

// is is ==, without the calls that compare structs with padding.
func (k *flowKey) is(o *flowKey) bool {
	return k.a.addr == o.a.addr && k.b.addr == o.b.addr && k.a.port == o.a.port && k.b.port == o.b.port && k.proto == o.proto
}

// key returns the five-tuple and whether the packet goes from a to b.
func (p *packet) key() (flowKey, bool) {
	s, d := endpoint{p.src, p.sport}, endpoint{p.dst, p.dport}
	if d.less(s) {
		return flowKey{d, s, p.proto}, false
	}
	return flowKey{s, d, p.proto}, true
}

// flow is key with the index of the sending side.
func (p *packet) flow() (flowKey, int) {
	k, forward := p.key()
	if forward {
		return k, 0
	}
	return k, 1
}

// hash is the same for both directions of a flow and for the same packet anywhere:
// it decides which table a flow lives in.
func (p *packet) hash() uint32 {
	const odd = 0x9e3779b97f4a7c15
	h := (p.src.lo ^ p.dst.lo) * odd
	h = (h ^ h>>29 ^ (p.src.lo + p.dst.lo)) * odd
	h = (h ^ h>>31 ^ p.src.hi ^ p.dst.hi) * odd
	h = (h ^ h>>30 ^ uint64(p.sport^p.dport)<<24 ^ (uint64(p.sport)+uint64(p.dport))<<8 ^ uint64(p.proto)) * odd
	return uint32(h >> 32)
}

// flowIndex finds flows by key. It is a hash table of its own, because the hash of
// a packet is known already and Go's map would compute another one. Each slot has the
// hash beside the flow, so that flows which are not meant are not touched: with
// many of them they are in no cache.
type flowIndex struct {
	slots []slot // at least as many are free as taken
	n     int
}

type slot struct {
	f    *flow // nil if free
	hash uint32
}

func (t *flowIndex) find(hash uint32, k *flowKey) *flow {
	if len(t.slots) == 0 {
		return nil
	}
	for i := t.home(hash); ; i = t.after(i) {
		switch s := &t.slots[i]; {
		case s.f == nil:
			return nil
		case s.hash == hash && s.f.key.is(k):
			return s.f
		}
	}
}

// home is the slot that a hash would like to have; its low bits chose the table and
// are the same in all of it.
func (t *flowIndex) home(hash uint32) int { return int(hash/shards) & (len(t.slots) - 1) }

func (t *flowIndex) after(i int) int { return (i + 1) & (len(t.slots) - 1) }

func (t *flowIndex) add(f *flow) {
	if 2*(t.n+1) > len(t.slots) {
		t.grow()
	}
	t.put(slot{f, f.hash})
	t.n++
}

func (t *flowIndex) put(s slot) {
	i := t.home(s.hash)
	for t.slots[i].f != nil {
		i = t.after(i)
	}
	t.slots[i] = s
}

// remove takes a flow out and closes the gap: those behind it move up if they had to
// stand behind their own slot.
func (t *flowIndex) remove(f *flow) {
	gap := t.home(f.hash)
	for t.slots[gap].f != f {
		gap = t.after(gap)
	}
	mask := len(t.slots) - 1
	for i := t.after(gap); t.slots[i].f != nil; i = t.after(i) {
		if (i-t.home(t.slots[i].hash))&mask >= (i-gap)&mask {
			t.slots[gap] = t.slots[i]
			gap = i
		}
	}
	t.slots[gap] = slot{}
	t.n--
}

func (t *flowIndex) grow() {
	old := t.slots
	t.slots = make([]slot, max(64, 2*len(old)))
	for _, s := range old {
		if s.f != nil {
			t.put(s)
		}
	}
}

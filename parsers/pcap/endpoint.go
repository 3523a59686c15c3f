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
// a packet is known already and Go's map would compute another one.
type flowIndex struct {
	buckets []*flow // chains by flow.chain
	n       int
}

func (t *flowIndex) find(hash uint32, k *flowKey) *flow {
	if len(t.buckets) == 0 {
		return nil
	}
	for f := t.buckets[t.at(hash)]; f != nil; f = f.chain {
		if f.hash == hash && f.key == *k {
			return f
		}
	}
	return nil
}

// at is the bucket of a hash; its low bits chose the table and are the same in
// all of it.
func (t *flowIndex) at(hash uint32) int { return int(hash/shards) & (len(t.buckets) - 1) }

func (t *flowIndex) add(f *flow) {
	if t.n >= len(t.buckets) {
		t.grow()
	}
	at := t.at(f.hash)
	f.chain, t.buckets[at] = t.buckets[at], f
	t.n++
}

func (t *flowIndex) remove(f *flow) {
	for at := &t.buckets[t.at(f.hash)]; *at != nil; at = &(*at).chain {
		if *at == f {
			*at, f.chain = f.chain, nil
			t.n--
			return
		}
	}
}

func (t *flowIndex) grow() {
	old := t.buckets
	t.buckets = make([]*flow, max(64, 2*len(old)))
	for _, f := range old {
		for f != nil {
			next, at := f.chain, t.at(f.hash)
			f.chain, t.buckets[at] = t.buckets[at], f
			f = next
		}
	}
}

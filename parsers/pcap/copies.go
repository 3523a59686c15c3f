package pcap

// copies knows packets that were captured before, at another point of the same
// host or by a mirror port. It is a cache of what a table saw last: what it has
// forgotten counts as new.
type copies struct {
	seen [recentPackets]seenPacket
}

// recentPackets is how many packets a table remembers; copies follow within a
// millisecond.
const recentPackets = 256

type seenPacket struct {
	key   uint64
	ts    int64
	place uint32
}

// copyWithin is how far apart two captures of one packet may be.
const copyWithin = 1_000_000 // 1 ms

// add remembers a segment and reports whether it was seen before: the same
// addresses, IP-ID, sequence, length and checksum within a millisecond. A
// retransmission has another IP-ID. Packets without one (IPv6, or zero as Linux
// writes for what is never fragmented) are only copies if they were seen at another
// interface.
func (c *copies) add(p *packet, hash uint32) bool {
	key := uint64(hash) | 1<<32
	for _, v := range [...]uint32{p.seq, p.ack, uint32(p.payload), uint32(p.checksum)<<16 | uint32(p.ipid), uint32(p.flags)<<16 | uint32(p.sport)} {
		key = (key ^ uint64(v)) * 0x9e3779b97f4a7c15
		key ^= key >> 29
	}
	s := &c.seen[key%recentPackets]
	near := p.ts-s.ts <= copyWithin && s.ts-p.ts <= copyWithin
	if s.key == key && near && (p.hasID && p.ipid != 0 || p.place != s.place) {
		return true
	}
	*s = seenPacket{key, p.ts, p.place}
	return false
}

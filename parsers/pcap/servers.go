package pcap

// servers remembers who answered or was sent a SYN, to tell client from server in
// flows whose start was not captured. The reader keeps it, because it sees all
// packets in the order of the file; what it says does not depend on the workers.
type servers struct {
	known map[endpoint]struct{}
	// asked has a bit for the hash of each flow that was looked up: the two lookups
	// are made once a flow, not once a packet.
	asked [1 << 17 / 64]uint64
}

// maxServers bounds the servers that are remembered; a scan touches more.
const maxServers = 1 << 16

// hint says which end of a packet is known as a server.
type hint uint8

const (
	hintNone hint = iota
	hintSource
	hintDestination
)

func (s *servers) hint(p *packet, hash uint32) hint {
	if p.proto != protoTCP {
		return hintNone
	}
	switch p.flags & (syn | ack) {
	case syn | ack:
		s.add(endpoint{p.src, p.sport})
		return hintNone
	case syn:
		s.add(endpoint{p.dst, p.dport})
		return hintNone
	}
	word, bit := &s.asked[hash/64%uint32(len(s.asked))], uint64(1)<<(hash%64)
	if *word&bit != 0 {
		return hintNone
	}
	*word |= bit
	_, from := s.known[endpoint{p.src, p.sport}]
	_, to := s.known[endpoint{p.dst, p.dport}]
	switch {
	case from && !to:
		return hintSource
	case to && !from:
		return hintDestination
	}
	return hintNone
}

func (s *servers) add(e endpoint) {
	if s.known == nil {
		s.known = map[endpoint]struct{}{}
	}
	if len(s.known) < maxServers {
		s.known[e] = struct{}{}
	}
}

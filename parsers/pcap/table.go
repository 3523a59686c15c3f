package pcap

// shards is how many tables the flows of a capture are spread over. It is fixed,
// so that what a table evicts never depends on the number of workers.
const shards = 16

// Limits of all tables together, if not said otherwise.
const (
	maxFlows   = 1 << 19
	maxICMP    = 1024 // of each table
	maxDNS     = 1024
	maxPending = 4096
)

// A flow that seems over stays for late packets, which would look like a new flow
// without a start: ten minutes of capture time. Of those beyond lingerMany, a closed
// one stays for ten seconds, a silent UDP flow for one minute, and a connection that
// was never made for three, which is longer than any pause between two SYNs.
const (
	lingerLong   = 600_000_000_000
	lingerClosed = 10_000_000_000
	lingerUDP    = 60_000_000_000
	lingerTrying = 180_000_000_000
	lingerMany   = 256
	lingerMost   = 8192 // closed ones of each table, however late
)

// table holds the flows of one shard. It is used by one worker.
type table struct {
	flows flowIndex
	// A flow is in one list: of those that live, that are being made, that are closed
	// but may see a late packet, or UDP; each in the order of the last packet.
	live, trying, closed, udp flowList
	limit                     int
	// deliver takes a flow that is over; it must not keep it.
	deliver func(*flow)
	free    *flow // flows to be used again, by chain
	icmp    []icmpSeen
	dns     dnsTable
	copies  copies

	delivered, oneWay, evicted, duplicates, icmpLost int64
}

// icmpSeen is an ICMP error with its packet.
type icmpSeen struct {
	p packet
	e *icmpError
}

func newTable(limit int, deliver func(*flow)) *table {
	return &table{limit: limit, deliver: deliver}
}

// add takes in a packet; hash is its own.
func (t *table) add(p *packet, hash uint32) {
	if p.icmp != nil {
		if len(t.icmp) < maxICMP {
			t.icmp = append(t.icmp, icmpSeen{*p, p.icmp})
		} else {
			t.icmpLost++
		}
		return
	}
	k, from := p.flow()
	f := t.flows.find(hash, &k)
	if f != nil && f.tcp && f.reused(p, from) {
		t.finish(f)
		f = nil
	}
	if f == nil {
		f = t.fresh()
		f.reset(k, hash, p, from)
		t.flows.add(f)
		if t.flows.n > t.limit {
			t.evict()
		}
	}
	if f.tcp && t.copies.add(p, hash) {
		t.duplicates++
		f.addCopy(p, from)
		return
	}
	f.add(p, from)
	t.file(f)
	t.expire(p.ts)
	if !f.tcp && p.text != nil {
		t.dns.add(p)
	}
}

// reused reports whether a packet starts another connection on the same addresses
// and ports. A SYN with the number of the last one is that one again, even after a
// refusal: some stacks retry so.
func (f *flow) reused(p *packet, from int) bool {
	return p.flags&(syn|rst|ack) == syn && f.sides[from].hasBase && p.seq != f.sides[from].baseSeq
}

// file puts a flow at the end of the list that it belongs to.
func (t *table) file(f *flow) {
	to := &t.live
	switch {
	case !f.tcp:
		to = &t.udp
	case f.closed():
		to = &t.closed
	case f.sawSYN && !f.established:
		to = &t.trying
	}
	if f.list == to && to.tail == f {
		return
	}
	if f.list != nil {
		f.list.remove(f)
	}
	to.push(f)
}

// fresh is a flow to fill.
func (t *table) fresh() *flow {
	f := t.free
	if f == nil {
		return &flow{}
	}
	t.free = f.chain
	return f
}

// expire lets go of flows that were silent long enough.
func (t *table) expire(now int64) {
	t.expireList(&t.closed, now, lingerClosed, lingerMost)
	t.expireList(&t.udp, now, lingerUDP, t.limit)
	t.expireList(&t.trying, now, lingerTrying, t.limit)
}

func (t *table) expireList(l *flowList, now, linger int64, most int) {
	for f := l.head; f != nil; f = l.head {
		silent := now - f.last
		if silent <= lingerLong && (l.n <= lingerMany || silent <= linger) && l.n <= most {
			return
		}
		t.finish(f)
	}
}

// evict makes room: a flow that is over, else the one that was silent longest.
func (t *table) evict() {
	for _, l := range []*flowList{&t.closed, &t.udp, &t.trying, &t.live} {
		if f := l.head; f != nil {
			if l != &t.closed {
				f.evicted = true
				t.evicted++
			}
			t.finish(f)
			return
		}
	}
}

// finish takes a flow out of the table and delivers it.
func (t *table) finish(f *flow) {
	t.flows.remove(f)
	if f.list != nil {
		f.list.remove(f)
	}
	f.close()
	t.delivered++
	if f.sides[0].packets == 0 || f.sides[1].packets == 0 {
		t.oneWay++
	}
	t.deliver(f)
	f.chain, t.free = t.free, f
}

// close ends what was still going on.
func (f *flow) close() {
	for i := range f.sides {
		if f.sides[i].stall != nil {
			f.endStall(i, f.last, true)
			f.sides[i].stall = nil
		}
	}
	f.endLimited()
}

// end finishes what is still open, in the order of its last packets.
func (t *table) end() {
	for _, l := range []*flowList{&t.closed, &t.udp, &t.trying, &t.live} {
		for l.head != nil {
			t.finish(l.head)
		}
	}
}

// flowList is a list of flows, oldest packet first.
type flowList struct {
	head, tail *flow
	n          int
}

func (l *flowList) push(f *flow) {
	l.n++
	f.list, f.prev, f.next = l, l.tail, nil
	if l.tail != nil {
		l.tail.next = f
	} else {
		l.head = f
	}
	l.tail = f
}

func (l *flowList) remove(f *flow) {
	l.n--
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		l.head = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		l.tail = f.prev
	}
	f.list, f.prev, f.next = nil, nil, nil
}

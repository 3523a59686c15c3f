package pcap

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// dnsTable follows the queries of one shard until they are answered.
type dnsTable struct {
	pending map[dnsKey]*dnsQuery
	failed  []*dnsQuery
	lost    int64
}

type dnsKey struct {
	client, server endpoint
	id             uint16
}

// dnsQuery is a query and what became of it.
type dnsQuery struct {
	key      dnsKey
	ts       int64
	offset   int64
	length   int32
	frame    int
	queries  int
	name     string
	rcode    uint8
	answered bool
}

// add takes in a DNS message.
func (t *dnsTable) add(p *packet) {
	b := p.text
	if len(b) < 12 {
		return
	}
	id, flags, questions := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:])
	src, dst := endpoint{p.src, p.sport}, endpoint{p.dst, p.dport}
	if flags&0x8000 == 0 {
		if p.dport == 53 && flags>>11&15 == 0 && questions > 0 {
			t.query(dnsKey{src, dst, id}, p)
		}
		return
	}
	q := t.pending[dnsKey{dst, src, id}]
	if q == nil {
		return
	}
	delete(t.pending, q.key)
	if q.rcode = uint8(flags & 15); q.rcode == 0 {
		return
	}
	q.answered = true
	t.fail(q)
}

func (t *dnsTable) query(k dnsKey, p *packet) {
	if q := t.pending[k]; q != nil {
		q.queries++
		return
	}
	if t.pending == nil {
		t.pending = map[dnsKey]*dnsQuery{}
	}
	if len(t.pending) >= maxPending {
		t.lost++
		return
	}
	t.pending[k] = &dnsQuery{
		key: k, ts: p.ts, offset: p.offset, length: p.length, frame: p.frame, queries: 1, name: dnsName(p.text[12:]),
	}
}

func (t *dnsTable) fail(q *dnsQuery) {
	if len(t.failed) < maxDNS {
		t.failed = append(t.failed, q)
	} else {
		t.lost++
	}
}

// answerWithin is how long a resolver waits before it asks again; a query nearer
// to the end of the capture may still be answered.
const answerWithin = 5_000_000_000

// end takes queries that nobody answered for failed.
func (t *dnsTable) end(captureEnd int64) {
	open := make([]*dnsQuery, 0, len(t.pending))
	for _, q := range t.pending {
		if captureEnd-q.ts >= answerWithin {
			open = append(open, q)
		}
	}
	slices.SortFunc(open, func(a, b *dnsQuery) int { return cmp.Compare(a.frame, b.frame) })
	for _, q := range open {
		t.fail(q)
	}
}

// dnsName reads the name of the first question. Compression has no place there.
func dnsName(b []byte) string {
	var out strings.Builder
	for len(b) > 0 && b[0] != 0 && out.Len() < 255 {
		n := int(b[0])
		if n > 63 || n >= len(b) {
			break
		}
		if out.Len() > 0 {
			out.WriteByte('.')
		}
		for _, c := range b[1 : n+1] {
			if c <= ' ' || c > '~' || c == '\\' || c == '.' {
				out.WriteString(`\` + strconv.Itoa(int(c)))
				continue
			}
			out.WriteByte(c)
		}
		b = b[n+1:]
	}
	if out.Len() == 0 {
		return "."
	}
	return out.String()
}

// rcodes are the response codes of RFC 1035 and 2136.
var rcodes = [...]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
}

func (q *dnsQuery) fact(id fact.ID) fact.DNSFailure {
	f := fact.DNSFailure{
		At:   fact.Ref{Artifact: id, Packet: q.frame, Offset: q.offset, Len: int(q.length)},
		Time: timeOf(q.ts), Client: q.key.client.String(), Server: q.key.server.String(), Name: q.name, Queries: q.queries,
	}
	if q.answered {
		f.RCode = "RCODE" + strconv.Itoa(int(q.rcode))
		if int(q.rcode) < len(rcodes) {
			f.RCode = rcodes[q.rcode]
		}
	}
	return f
}

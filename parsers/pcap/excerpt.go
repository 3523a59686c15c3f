package pcap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// excerpt renders cited frames like lines of tcpdump, times in UTC and sequence
// numbers relative to the start of the flow. It reads the capture once, looking at
// cited frames and at those that may carry a SYN; only where a cited flow began
// before the capture, once more.
func excerpt(ctx context.Context, in *analyze.Input, refs []fact.Ref) ([]string, error) {
	out := make([]string, len(refs))
	e := &excerpts{wanted: map[int]string{}, flows: map[flowKey]*relative{}, open: map[flowKey]*relative{}}
	for _, r := range refs {
		if r.Packet > 0 {
			e.wanted[r.Packet] = ""
		}
	}
	if len(e.wanted) == 0 {
		return out, nil
	}
	e.frames = slices.Sorted(maps.Keys(e.wanted))
	if err := e.pass(ctx, in, plainSegment, e.starts); err != nil {
		return nil, err
	}
	if len(e.open) > 0 {
		if err := e.pass(ctx, in, nil, e.follow); err != nil {
			return nil, err
		}
	}
	for i, r := range refs {
		out[i] = e.wanted[r.Packet]
	}
	return out, nil
}

// excerpts are the frames to render and what is known of the flows.
type excerpts struct {
	wanted map[int]string
	frames []int                 // those of wanted in order
	flows  map[flowKey]*relative // whose SYN was seen
	open   map[flowKey]*relative // cited, and the start is not known
}

// maxStarts bounds the flows of which the start is remembered; a cited flow beyond
// it is looked for in the second pass.
const maxStarts = 1 << 20

// relative is where the sequence numbers of both sides of a flow start.
type relative struct {
	base  [2]uint32
	known [2]bool
}

// pass reads the frames up to the last cited one. It decodes those that are cited,
// and the others unless skip, if there is one, passes over them.
func (e *excerpts) pass(ctx context.Context, in *analyze.Input, skip func(*record) bool, each func(r *record, p *packet, ok, cited bool)) error {
	rd, err := in.Open()
	if err != nil {
		return err
	}
	defer rd.Close()
	file, err := openContainer(newSource(rd))
	if err != nil {
		return err
	}
	d := newDecoder()
	var r record
	var p packet
	for frames := e.frames; len(frames) > 0; {
		if r.number%ctxFrames == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := file.next(&r); err != nil {
			if pass := new(skipped); errors.As(err, &pass) {
				continue
			}
			return nil // what comes behind was not cited by a fact of this file
		}
		cited := r.number == frames[0]
		if cited {
			frames = frames[1:]
		}
		if cited || skip == nil || !skip(&r) {
			each(&r, &p, !r.opaque && d.decode(&r, &p), cited)
		}
	}
	return nil
}

// plainSegment reports whether a frame is, at first sight, a TCP segment without
// SYN: what a capture consists of. It saves decoding them.
func plainSegment(r *record) bool {
	b, at := r.data, 0
	switch r.link {
	case linkEthernet:
		at = 12
	case linkSLL:
		at = 14
	case linkSLL2:
		at = 0
	default:
		return false
	}
	if len(b) < at+2 || b[at] != etherIPv4>>8 || b[at+1] != 0 {
		return false
	}
	if at += 2; r.link == linkSLL2 {
		at = 20
	}
	const flagsAt = 33 // behind an IPv4 header without options
	return len(b) > at+flagsAt && b[at] == 0x45 && b[at+9] == protoTCP && b[at+6]&0x3f == 0 && b[at+7] == 0 && b[at+flagsAt]&syn == 0
}

// starts is the first pass: it notes where flows start and renders cited frames.
func (e *excerpts) starts(r *record, p *packet, ok, cited bool) {
	if !ok || p.proto != protoTCP {
		if cited {
			e.wanted[r.number] = line(r, p, ok, nil, 0)
		}
		return
	}
	k, from := p.flow()
	f := e.flows[k]
	if p.flags&syn != 0 {
		if f == nil && len(e.flows) < maxStarts {
			f = &relative{}
			e.flows[k] = f
		}
		if f != nil {
			f.begin(p, from)
		}
	}
	switch {
	case !cited:
	case f.tells(p, from):
		e.wanted[r.number] = line(r, p, ok, f, from)
	default:
		e.open[k] = &relative{}
	}
}

// tells reports whether the numbers of a segment can be made relative.
func (f *relative) tells(p *packet, from int) bool {
	return p.flags&syn != 0 || f != nil && (f.known[from] || p.flags&rst != 0) && (f.known[1-from] || p.flags&ack == 0)
}

// follow is the second pass: it counts from the first segment of a flow, where no
// SYN was captured, and renders what is still open.
func (e *excerpts) follow(r *record, p *packet, ok, cited bool) {
	if !ok || p.proto != protoTCP {
		return
	}
	k, from := p.flow()
	f := e.open[k]
	if f == nil {
		return
	}
	f.begin(p, from)
	if cited && e.wanted[r.number] == "" {
		e.wanted[r.number] = line(r, p, ok, f, from)
	}
}

func (f *relative) begin(p *packet, from int) {
	if p.flags&syn != 0 {
		if p.flags&ack == 0 && (!f.known[from] || f.base[from] != p.seq) {
			f.known[1-from] = false // the same addresses again
		}
		f.base[from], f.known[from] = p.seq, true
	}
	if !f.known[from] && p.flags&rst == 0 {
		f.base[from], f.known[from] = p.seq-1, true
	}
	if !f.known[1-from] && p.flags&ack != 0 {
		f.base[1-from], f.known[1-from] = p.ack-1, true
	}
}

// line renders one frame.
func line(r *record, p *packet, ok bool, f *relative, from int) string {
	at := "no time"
	if r.ts != noTime {
		at = timeOf(r.ts).Format("15:04:05.000000")
	}
	src, dst := endpoint{p.src, p.sport}, endpoint{p.dst, p.dport}
	switch {
	case !ok:
		return fmt.Sprintf("%s frame of %d bytes that could not be decoded", at, r.wire)
	case p.icmp != nil:
		return fmt.Sprintf("%s %s > %s: ICMP %s, about %s > %s", at, src.ip(), dst.ip(), p.icmp.text(), dotted(p.icmp.src), dotted(p.icmp.dst))
	case p.proto == protoUDP:
		return fmt.Sprintf("%s %s > %s: UDP, length %d", at, dotted(src), dotted(dst), p.payload)
	case p.proto == protoTCP:
		return fmt.Sprintf("%s %s > %s: %s", at, dotted(src), dotted(dst), tcpLine(p, f, from))
	}
	return fmt.Sprintf("%s frame of %d bytes, neither TCP nor UDP", at, r.wire)
}

// tcpLine is the part behind the addresses. A SYN shows its raw numbers, as the
// start that the others count from.
func tcpLine(p *packet, f *relative, from int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Flags [%s]", flagLetters(p.flags))
	seq, acked := p.seq, p.ack
	if f != nil && p.flags&syn == 0 {
		if f.known[from] && (p.seq != 0 || p.flags&rst == 0) {
			seq -= f.base[from]
		}
		if f.known[1-from] {
			acked -= f.base[1-from]
		}
	}
	if p.payload > 0 {
		fmt.Fprintf(&b, ", seq %d:%d", seq, seq+uint32(p.payload))
	} else if p.flags&(syn|fin|rst) != 0 {
		fmt.Fprintf(&b, ", seq %d", seq)
	}
	if p.flags&ack != 0 {
		fmt.Fprintf(&b, ", ack %d", acked)
	}
	fmt.Fprintf(&b, ", win %d, length %d", p.window, p.payload)
	return b.String()
}

// flagLetters are the letters of tcpdump, which writes ACK as a dot.
func flagLetters(flags uint8) string {
	var b []byte
	for i, c := range []byte("FSRP.UEW") {
		if flags&(1<<i) != 0 {
			b = append(b, c)
		}
	}
	if len(b) == 0 {
		return "none"
	}
	return string(b)
}

// dotted writes an endpoint the way tcpdump does: the port behind a dot.
func dotted(e endpoint) string {
	return fmt.Sprintf("%s.%d", e.ip(), e.port)
}

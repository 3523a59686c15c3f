// Package pcap reads packet captures: pcap, pcapng and snoop files. It follows
// each TCP and UDP conversation and emits one fact for each, one for the capture,
// and facts for ICMP errors and failed DNS queries; there is no fact for a packet.
package pcap

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Parser returns the parser.
func Parser() *analyze.Parser {
	return &analyze.Parser{
		Name:    "pcap",
		Doc:     "Packet captures: pcap, pcapng and snoop, as TCP and UDP conversations with their TCP analysis.",
		Emits:   []fact.Kind{"capture", "flow", "icmp_error", "dns_failure"},
		Sniff:   sniff,
		Parse:   parse,
		Excerpt: excerpt,
	}
}

func sniff(h analyze.Head) analyze.Match {
	if sniffMagic(h.Bytes) == noMagic {
		return analyze.No
	}
	return analyze.Certain
}

// ctxFrames is how many frames are read between two looks at the context.
const ctxFrames = 4096

func parse(ctx context.Context, in *analyze.Input, out *analyze.Sink) error {
	rd, err := in.Open()
	if err != nil {
		return err
	}
	defer rd.Close()
	c := &capture{in: in, out: out, dec: newDecoder()}
	file, err := openContainer(newSource(rd))
	switch {
	case errors.Is(err, errCut):
		out.Note("the file ends inside its header")
		out.Partial()
		analyze.Emit(out, fact.Capture{At: out.Ref(0, 0, 0), Format: "pcap", Cut: true})
		return nil
	case err != nil:
		return err
	}
	c.tables = newTables(in.ID(), &c.dec.tunnels, out.Jobs(), out.Room())
	err = c.read(ctx, file)
	c.tables.close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.emit(file.about(), err)
	if problem := new(readError); errors.As(err, &problem) {
		return problem.err
	}
	return nil
}

// capture is one file being read.
type capture struct {
	in     *analyze.Input
	out    *analyze.Sink
	dec    *decoder
	tables *tables

	frames, truncated, undecoded int64
	first, last                  int64
	timed                        bool
}

// readError is a failure of the input, not of its content.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// read passes all frames to the tables. It returns why it ended, io.EOF as a rule.
func (c *capture) read(ctx context.Context, file container) error {
	var r record
	for {
		if err := file.next(&r); err != nil {
			if pass := new(skipped); errors.As(err, &pass) {
				c.skip(pass.at, pass.why)
				continue
			}
			return c.ending(err)
		}
		c.frames++
		if c.frames%ctxFrames == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		c.frame(&r)
	}
}

// ending tells apart the ways in which a file ends.
func (c *capture) ending(err error) error {
	var b *broken
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errCut):
		return err
	case errors.As(err, &b):
		c.skip(b.at, b.Error())
		return errCut
	}
	return &readError{err}
}

func (c *capture) skip(at int64, why string) {
	ref := c.out.Ref(0, at, 0)
	ref.Packet = int(c.frames) + 1
	c.out.Skip(&analyze.SyntaxError{At: ref, Msg: why})
}

// frame decodes a frame into the batch of the worker that holds its flow.
func (c *capture) frame(r *record) {
	if r.ts == noTime && c.timed {
		r.ts = c.last // a simple packet block between others: as late as the one before
	}
	if r.ts != noTime {
		if !c.timed || r.ts < c.first {
			c.first = r.ts
		}
		if !c.timed || r.ts > c.last {
			c.last = r.ts
		}
		c.timed = true
	}
	if len(r.data) < r.wire && len(r.data) < keepBytes {
		c.truncated++
	}
	p := c.tables.slot(c.dec)
	switch {
	case r.opaque:
	case !c.dec.decode(r, p):
		c.undecoded++
	case p.proto != 0:
		c.tables.commit()
	}
}

// emit hands over what was found: flows last, of which there may be too many.
func (c *capture) emit(info *fileInfo, err error) {
	icmp, dns := c.tables.results(c.last)
	f := fact.Capture{
		At: c.out.Ref(0, 0, 0), Format: info.format, Interfaces: info.interfaces, Packets: c.frames, Snaplen: info.snaplen,
		Truncated: c.truncated, Undecoded: c.undecoded, Cut: errors.Is(err, errCut),
		Flows:      c.tables.sum(func(t *table) int64 { return t.delivered }),
		OneWay:     c.tables.sum(func(t *table) int64 { return t.oneWay }),
		Duplicates: c.tables.sum(func(t *table) int64 { return t.duplicates }),
		Evicted:    c.tables.sum(func(t *table) int64 { return t.evicted }),
	}
	for _, l := range info.links {
		f.LinkTypes = append(f.LinkTypes, linkName(l))
	}
	if c.timed {
		f.First, f.Last = timeOf(c.first), timeOf(c.last)
	}
	if info.dropsKnown {
		f.Drops = fact.Some(info.drops)
	}
	analyze.Emit(c.out, f)
	c.notes(&f, info)
	id := c.in.ID()
	for _, e := range icmp {
		at := fact.Ref{Artifact: id, Packet: e.p.frame, Offset: e.p.offset, Len: int(e.p.length)}
		analyze.Emit(c.out, e.e.fact(&e.p, at))
	}
	for _, q := range dns {
		analyze.Emit(c.out, q.fact(id))
	}
	c.flows()
}

// flows emits the flows. They end in another order than they begin, and are put into
// the order of their first frames.
func (c *capture) flows() {
	var dropped int64
	for i := range c.tables.done {
		done := &c.tables.done[i]
		dropped += done.dropped
		for _, list := range done.lists {
			analyze.EmitAll(c.out, list)
		}
		done.lists = nil
	}
	analyze.Sort(c.out, func(f *fact.Flow) uint32 { return uint32(f.FirstFrame()) })
	if dropped > 0 {
		c.out.Note("%d flows were counted only, there are too many", dropped)
		c.out.Partial()
	}
}

// notes says what a reader of the report should know of the capture.
func (c *capture) notes(f *fact.Capture, info *fileInfo) {
	if f.Cut {
		c.out.Note("the file ends inside a record, after frame %d", c.frames)
		c.out.Partial()
	}
	if info.damaged > 0 {
		c.out.Note("%d places are damaged; frames behind them are counted on from there", info.damaged)
	}
	if f.Evicted > 0 {
		c.out.Note("%d flows left the table early because more than %d were open at a time", f.Evicted, maxFlows)
	}
	if n := c.tables.sum(func(t *table) int64 { return t.icmpLost }); n > 0 {
		c.out.Note("%d more ICMP errors were counted only", n)
	}
	if n := c.tables.sum(func(t *table) int64 { return t.dns.lost }); n > 0 {
		c.out.Note("%d more DNS failures were counted only", n)
	}
	if f.Undecoded > 0 {
		c.out.Note("%d of %d packets could not be decoded", f.Undecoded, f.Packets)
	}
}

// results collects what all tables found besides flows, in the order of frames.
func (t *tables) results(captureEnd int64) (icmp []icmpSeen, dns []*dnsQuery) {
	for _, one := range t.all {
		one.dns.end(captureEnd)
		icmp = append(icmp, one.icmp...)
		dns = append(dns, one.dns.failed...)
	}
	slices.SortFunc(icmp, func(a, b icmpSeen) int { return cmp.Compare(a.p.frame, b.p.frame) })
	slices.SortFunc(dns, func(a, b *dnsQuery) int { return cmp.Compare(a.frame, b.frame) })
	return icmp, dns
}

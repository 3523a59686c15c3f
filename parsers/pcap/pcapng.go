package pcap

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// Block types of pcapng.
const (
	blockInterface  = 1
	blockPacket     = 2 // obsolete
	blockSimple     = 3
	blockStatistics = 5
	blockEnhanced   = 6
	// Blocks that Wireshark counts as frames although they hold no packet.
	blockCustom      = 0xbad
	blockCustomLocal = 0x40000bad
	blockJournal     = 9
	blockSysdig      = 0x204
	blockSysdigEVF   = 0x208
	blockSysdig2     = 0x216
	blockSysdig2EVF  = 0x217
	blockSysdig2L    = 0x221
	blockSysdig2LEVF = 0x222
)

// maxBlock is the longest block that is believed, maxInterfaces how many
// interfaces of one section are kept, maxWire the longest frame.
const (
	maxWire       = 1 << 30
	maxBlock      = 256 << 20
	maxInterfaces = 4096
)

// pcapng reads a file of blocks: sections, interfaces, packets and more, each
// with its type and length in front and its length again behind.
type pcapng struct {
	src    *source
	order  binary.ByteOrder
	info   fileInfo
	ifaces []ngInterface // of the section
	before int           // interfaces of the sections before
	drops  []int64       // of each interface of the section, -1 unknown
	number int
}

// ngInterface is an interface of the current section.
type ngInterface struct {
	link    int
	snaplen int
	pow2    bool
	res     uint // digits (or bits) behind the point of a time stamp
	shift   int64
}

func newPcapng(s *source) *pcapng {
	return &pcapng{src: s, info: fileInfo{format: "pcapng"}}
}

func (f *pcapng) about() *fileInfo { return &f.info }

func (f *pcapng) next(r *record) error {
	for {
		if err := f.src.settle(); err != nil {
			return err
		}
		h := f.src.peek(12)
		if len(h) == 0 && f.src.err == nil {
			return io.EOF
		}
		if len(h) < 12 {
			return f.src.short()
		}
		if binary.BigEndian.Uint32(h) == ngSection {
			if err := f.section(h); err != nil {
				return err
			}
			continue
		}
		kind, total := f.order.Uint32(h), int64(f.order.Uint32(h[4:]))
		if total < 12 || total > maxBlock {
			return &broken{f.src.off}
		}
		total = (total + 3) &^ 3 // some writers do not count the padding
		body := f.src.peek(int(min(total, keepBytes+64)))
		if int64(len(body)) < min(total, keepBytes+64) {
			f.lastPadding(&total, body)
			if int64(len(body)) < min(total, keepBytes+64) {
				return f.src.short()
			}
		}
		at, shown := f.src.off, int(min(int64(len(body)), total))
		f.src.pending = total
		body = body[8:max(8, min(int64(len(body)), total-4))]
		found, err := f.block(kind, body, r)
		if err != nil {
			return &skipped{at, err.Error()}
		}
		if found {
			f.number++
			r.offset, r.length, r.number = at, shown, f.number
			return nil
		}
	}
}

// lastPadding forgives a last block whose padding is missing.
func (f *pcapng) lastPadding(total *int64, body []byte) {
	if stated := int64(f.order.Uint32(body[4:])); stated == int64(len(body)) {
		*total = stated
	}
}

// section reads a section header, from which on byte order and interfaces are new.
func (f *pcapng) section(h []byte) error {
	switch {
	case binary.LittleEndian.Uint32(h[8:]) == ngOrder:
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(h[8:]) == ngOrder:
		f.order = binary.BigEndian
	default:
		return &broken{f.src.off}
	}
	total := int64(f.order.Uint32(h[4:]))
	if total < 28 || total > maxBlock {
		return &broken{f.src.off}
	}
	f.before += len(f.ifaces)
	f.ifaces, f.drops = f.ifaces[:0], f.drops[:0]
	f.src.pending = (total + 3) &^ 3
	return nil
}

// block reads the body of a block and reports whether it is a frame.
func (f *pcapng) block(kind uint32, b []byte, r *record) (bool, error) {
	switch kind {
	case blockInterface:
		return false, f.iface(b)
	case blockEnhanced:
		return f.enhanced(b, r)
	case blockSimple:
		return f.simple(b, r)
	case blockPacket:
		return f.obsolete(b, r)
	case blockStatistics:
		f.statistics(b)
	case blockCustom, blockCustomLocal, blockJournal, blockSysdig, blockSysdigEVF, blockSysdig2, blockSysdig2EVF, blockSysdig2L, blockSysdig2LEVF:
		*r = record{opaque: true, ts: noTime}
		return true, nil
	}
	return false, nil
}

func (f *pcapng) iface(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("interface block of %d bytes", len(b))
	}
	if len(f.ifaces) >= maxInterfaces {
		return fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	i := ngInterface{link: linkType(int(f.order.Uint16(b))), snaplen: int(min(f.order.Uint32(b[4:]), 1<<31-1)), res: 6}
	f.options(b[8:], func(code uint16, v []byte) {
		switch {
		case code == 2: // if_name
			f.info.addInterface(text(v))
		case code == 9 && len(v) >= 1: // if_tsresol
			i.pow2, i.res = v[0]&0x80 != 0, uint(v[0]&0x7f)
		case code == 14 && len(v) >= 8: // if_tsoffset
			i.shift = int64(f.order.Uint64(v))
		}
	})
	f.ifaces, f.drops = append(f.ifaces, i), append(f.drops, -1)
	f.info.addLink(i.link)
	f.info.snaplen = max(f.info.snaplen, i.snaplen)
	return nil
}

func (f *pcapng) enhanced(b []byte, r *record) (bool, error) {
	if len(b) < 20 {
		return false, fmt.Errorf("packet block of %d bytes", len(b))
	}
	ticks := uint64(f.order.Uint32(b[4:]))<<32 | uint64(f.order.Uint32(b[8:]))
	caplen, wire := f.order.Uint32(b[12:]), f.order.Uint32(b[16:])
	if err := f.packet(int(f.order.Uint32(b)), b[20:], caplen, wire, ticks, r); err != nil {
		return false, err
	}
	return true, nil
}

func (f *pcapng) obsolete(b []byte, r *record) (bool, error) {
	if len(b) < 20 {
		return false, fmt.Errorf("packet block of %d bytes", len(b))
	}
	ticks := uint64(f.order.Uint32(b[4:]))<<32 | uint64(f.order.Uint32(b[8:]))
	id := int(f.order.Uint16(b))
	err := f.packet(id, b[20:], f.order.Uint32(b[12:]), f.order.Uint32(b[16:]), ticks, r)
	if n := f.order.Uint16(b[2:]); err == nil && n != 0xffff {
		f.info.drops, f.info.dropsKnown = f.info.drops+int64(n), true
	}
	return err == nil, err
}

func (f *pcapng) simple(b []byte, r *record) (bool, error) {
	if len(b) < 4 || len(f.ifaces) == 0 {
		return false, fmt.Errorf("simple packet block without its interface")
	}
	wire := f.order.Uint32(b)
	kept := wire
	if snap := f.ifaces[0].snaplen; snap > 0 {
		kept = min(kept, uint32(snap))
	}
	if err := f.packet(0, b[4:], min(kept, uint32(len(b)-4)), wire, 0, r); err != nil {
		return false, err
	}
	r.ts = noTime // the block has none
	return true, nil
}

// packet fills a record with what the three packet blocks have in common.
func (f *pcapng) packet(id int, data []byte, caplen, wire uint32, ticks uint64, r *record) error {
	if id < 0 || id >= len(f.ifaces) {
		return fmt.Errorf("packet of interface %d, which no block describes", id)
	}
	if caplen > maxBlock || int(caplen) > len(data) && len(data) < keepBytes {
		return fmt.Errorf("packet of %d bytes in a block with room for %d", caplen, len(data))
	}
	i := f.ifaces[id]
	*r = record{
		data: data[:min(int(caplen), len(data))], wire: int(min(max(wire, caplen), maxWire)),
		ts: i.time(ticks), link: i.link, iface: f.before + id,
	}
	return nil
}

// statistics reads what an interface dropped; the last block of an interface
// counts, because its counters run from the start of the capture.
func (f *pcapng) statistics(b []byte) {
	if len(b) < 12 {
		return
	}
	id := int(f.order.Uint32(b))
	if id < 0 || id >= len(f.drops) {
		return
	}
	var drops uint64
	known := false
	f.options(b[12:], func(code uint16, v []byte) {
		if (code == 5 || code == 7) && len(v) >= 8 { // isb_ifdrop, isb_osdrop
			drops, known = drops+f.order.Uint64(v), true
		}
	})
	if !known || drops > 1<<62 {
		return
	}
	f.info.drops += int64(drops) - max(f.drops[id], 0)
	f.drops[id], f.info.dropsKnown = int64(drops), true
}

// options calls each for the options of a block.
func (f *pcapng) options(b []byte, each func(code uint16, v []byte)) {
	for len(b) >= 4 {
		code, n := f.order.Uint16(b), int(f.order.Uint16(b[2:]))
		b = b[4:]
		if code == 0 || n > len(b) {
			return
		}
		each(code, b[:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

// time converts a time stamp to nanoseconds since 1970.
func (i *ngInterface) time(ticks uint64) int64 {
	var sec, frac uint64
	switch {
	case i.pow2 && i.res >= 64:
	case i.pow2:
		sec = ticks >> i.res
		hi, lo := bits.Mul64(ticks&(1<<i.res-1), 1e9)
		frac = hi<<(64-i.res) | lo>>i.res
		if i.res == 0 {
			frac = 0
		}
	case i.res > 19:
	default:
		unit := uint64(1)
		for range i.res {
			unit *= 10
		}
		sec, frac = ticks/unit, ticks%unit
		if i.res <= 9 {
			frac *= 1e9 / unit
		} else {
			frac /= unit / 1e9
		}
	}
	at := int64(sec) + i.shift
	if sec > 1<<33 || i.shift > 1<<33 || i.shift < -1<<33 || at > 1<<33 || at < -1<<33 {
		return noTime // centuries away: the resolution is wrong
	}
	return at*1e9 + int64(frac)
}

// text is a string of a file, bounded and without what follows a NUL.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return string(b[:min(len(b), 64)])
}

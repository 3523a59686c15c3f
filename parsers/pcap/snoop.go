package pcap

import (
	"encoding/binary"
	"io"
)

// snoop reads the format of Solaris' snoop, RFC 1761: big endian, a file header
// of 16 bytes, records of 24 bytes and what was captured, padded.
type snoop struct {
	src    *source
	info   fileInfo
	link   int
	number int
}

func newSnoop(s *source, head []byte) (*snoop, error) {
	if len(head) < 16 {
		return nil, errCut
	}
	f := &snoop{src: s, link: snoopLink(binary.BigEndian.Uint32(head[12:]))}
	f.info = fileInfo{format: "snoop"}
	f.info.addLink(f.link)
	s.skip(16)
	return f, nil
}

// snoopLink maps the data link types of RFC 1761 and its successors.
func snoopLink(n uint32) int {
	switch n {
	case 0, 4: // IEEE 802.3, Ethernet
		return linkEthernet
	case 2:
		return linkTokenRing
	case 8:
		return linkFDDI
	case 18:
		return linkSunATM
	case 26:
		return linkIPNet
	}
	return 1<<16 + int(min(n, 1<<16)) // no LINKTYPE, and none is decoded
}

func (f *snoop) about() *fileInfo { return &f.info }

func (f *snoop) next(r *record) error {
	if err := f.src.settle(); err != nil {
		return err
	}
	h := f.src.peek(24)
	if len(h) == 0 && f.src.err == nil {
		return io.EOF
	}
	if len(h) < 24 {
		return f.src.short()
	}
	be := binary.BigEndian
	wire, caplen, length := be.Uint32(h), be.Uint32(h[4:]), be.Uint32(h[8:])
	if length < 24 || caplen > length-24 || length > maxBlock {
		return &broken{f.src.off}
	}
	kept := int(min(caplen, keepBytes-24))
	body := f.src.peek(int(min(length, keepBytes)))
	if len(body) < 24+kept {
		return f.src.short()
	}
	f.number++
	*r = record{
		data: body[24 : 24+kept], wire: int(min(wire, maxWire)), link: f.link, number: f.number,
		ts:     int64(be.Uint32(h[16:]))*1e9 + int64(be.Uint32(h[20:]))*1e3,
		offset: f.src.off, length: len(body),
	}
	f.src.pending = int64(length)
	// The counter runs from the start of the capture and stands in every record.
	f.info.drops, f.info.dropsKnown = int64(be.Uint32(h[12:])), true
	return nil
}

package pcap

import (
	"encoding/binary"
	"io"
)

// pcapFile reads the classic format: a file header of 24 bytes, then records of
// 16 (or, modified, 24) bytes and what was captured.
type pcapFile struct {
	src   *source
	order binary.ByteOrder
	info  fileInfo
	link  int
	nano  bool
	head  int // of a record header
	// swapped: before version 2.3 the two lengths stood the other way around, and in
	// 2.3 itself either way.
	swapped, maybeSwapped bool
	number                int
	lastSec               int64
}

func newPcapFile(s *source, head []byte) (*pcapFile, error) {
	if len(head) < 24 {
		return nil, errCut
	}
	order, m := pcapOrder(head)
	major, minor := order.Uint16(head[4:]), order.Uint16(head[6:])
	f := &pcapFile{
		src: s, order: order, head: 16,
		nano: m == pcapNano || m == ixiaNano,
		// The upper bits tell the length of the frame check sequence.
		link: linkType(int(order.Uint32(head[20:]) & 0x03ffffff)),
	}
	if m == pcapModified {
		f.head = 24
	}
	if major == 2 {
		f.swapped, f.maybeSwapped = minor < 3, minor == 3
	}
	f.info = fileInfo{format: "pcap", snaplen: int(min(order.Uint32(head[16:]), 1<<31-1))}
	f.info.addLink(f.link)
	s.skip(24)
	if m == ixiaNano || m == ixiaMicro {
		s.skip(4)
	}
	return f, nil
}

func (f *pcapFile) about() *fileInfo { return &f.info }

func (f *pcapFile) next(r *record) error {
	if err := f.src.settle(); err != nil {
		return err
	}
	h := f.src.peek(f.head)
	if len(h) == 0 && f.src.err == nil {
		return io.EOF
	}
	if len(h) < f.head {
		return f.src.short()
	}
	sec, frac, caplen, wire := f.header(h)
	if !f.plausible(caplen, wire) {
		return f.resync()
	}
	kept := f.head + int(min(caplen, keepBytes))
	body := f.src.peek(kept)
	if len(body) < kept {
		return f.src.short()
	}
	f.number++
	f.lastSec = sec
	if !f.nano {
		frac *= 1e3
	}
	*r = record{
		data: body[f.head:], wire: int(wire), ts: sec*1e9 + frac, link: f.link,
		offset: f.src.off, length: kept, number: f.number,
	}
	f.src.pending = int64(f.head) + int64(caplen)
	return nil
}

// header reads a record header.
func (f *pcapFile) header(h []byte) (sec, frac int64, caplen, wire uint32) {
	sec, frac = int64(f.order.Uint32(h)), int64(f.order.Uint32(h[4:]))
	caplen, wire = f.order.Uint32(h[8:]), f.order.Uint32(h[12:])
	if f.swapped || f.maybeSwapped && caplen > wire {
		caplen, wire = wire, caplen
	}
	return sec, frac, caplen, wire
}

// maxRecord is the largest record that is believed: the limit of libpcap for all
// link types but USB and D-Bus, or what the file itself announces.
const maxRecord = 256 << 10

func (f *pcapFile) plausible(caplen, wire uint32) bool {
	most := uint32(maxRecord)
	if f.link == linkDBus || f.link == linkUSBPcap || f.link == linkUSBMmapped || f.link == linkUSB {
		most = 128 << 20
	}
	if f.info.snaplen > maxRecord && f.info.snaplen <= 128<<20 {
		most = max(most, uint32(f.info.snaplen))
	}
	return caplen <= most && wire < 1<<30
}

// resyncWindow is how far the next record is searched for behind a damaged one.
const resyncWindow = bufferSize

// resync looks for the next two records that fit together behind a damaged one.
// Frame numbers behind it count what can be read; Wireshark stops here.
func (f *pcapFile) resync() error {
	at := f.src.off
	b := f.src.peek(resyncWindow)
	for i := 1; i+2*f.head <= len(b); i++ {
		if f.fits(b[i:]) {
			f.src.skip(int64(i))
			f.info.damaged++
			return &skipped{at, "damaged record header, reading goes on at the next record"}
		}
	}
	if f.src.err != nil {
		return f.src.err
	}
	f.src.skip(1 << 62)
	return &broken{at}
}

// fits reports whether two records in a row seem to start at b: times near the
// last good one and lengths that make sense.
func (f *pcapFile) fits(b []byte) bool {
	for range 2 {
		if len(b) < f.head {
			return false
		}
		sec, frac, caplen, wire := f.header(b)
		unit := int64(1e6)
		if f.nano {
			unit = 1e9
		}
		const day = 86400
		if frac >= unit || caplen == 0 || caplen > wire || wire > maxRecord ||
			f.lastSec != 0 && (sec < f.lastSec-day || sec > f.lastSec+day) {
			return false
		}
		if len(b) < f.head+int(caplen) {
			return false
		}
		b = b[f.head+int(caplen):]
	}
	return true
}

// broken is damage behind which nothing can be read.
type broken struct{ at int64 }

func (e *broken) Error() string { return "damaged record header, and no other record behind it" }

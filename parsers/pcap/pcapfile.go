package pcap

import (
	"encoding/binary"
	"io"
)

// pcapFile reads the classic format: a file header of 24 bytes, then records of 16
// bytes, or more in patched versions, and what was captured.
type pcapFile struct {
	src  *source
	big  bool // byte order of the headers
	info fileInfo
	link int
	nano bool
	head int // of a record header
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
		src: s, big: order == binary.BigEndian, head: 16,
		nano: m == pcapNano || m == ixiaNano,
		// The upper bits tell the length of the frame check sequence.
		link: linkType(int(order.Uint32(head[20:]) & 0x03ffffff)),
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
	f.head = f.headerLength(m)
	return f, nil
}

// headerLength finds out how long the record headers are. Patched versions of libpcap
// wrote longer ones under the same magic numbers: of Red Hat 6.1 and Nokia under the
// usual one, of Kuznetzov and of SuSE 6.3 under the modified one. It is the first
// length with which the beginning of the file makes sense.
func (f *pcapFile) headerLength(m uint32) int {
	lengths := []int{16}
	switch m {
	case pcapMicro:
		lengths = []int{16, 24, 20}
	case pcapModified:
		lengths = []int{24, 28}
	}
	if len(lengths) > 1 {
		b := f.src.peek(startSize)
		for _, f.head = range lengths {
			if f.begins(b) {
				return f.head
			}
		}
	}
	return lengths[0]
}

// begins reports whether b, the beginning of the file's records, consists of records:
// two of them, or one that is all.
func (f *pcapFile) begins(b []byte) bool {
	for n := range 2 {
		if len(b) == 0 {
			return n > 0
		}
		end := f.span(b)
		if end < 0 {
			return false
		}
		b = b[end:]
	}
	return true
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
	_ = h[15]
	sec, frac = int64(f.uint32(h)), int64(f.uint32(h[4:]))
	caplen, wire = f.uint32(h[8:]), f.uint32(h[12:])
	if f.swapped || f.maybeSwapped && caplen > wire {
		caplen, wire = wire, caplen
	}
	return sec, frac, caplen, wire
}

// uint32 reads a number of a header; a byte order behind an interface would be a call.
func (f *pcapFile) uint32(b []byte) uint32 {
	if f.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
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
		end := f.span(b)
		if end < 0 || !f.dated(b) {
			return false
		}
		b = b[end:]
	}
	return true
}

// span is the end of the record that begins at b if its lengths make sense, else -1.
func (f *pcapFile) span(b []byte) int {
	if len(b) < f.head {
		return -1
	}
	_, _, caplen, wire := f.header(b)
	if caplen == 0 || caplen > wire || wire > maxRecord || len(b) < f.head+int(caplen) {
		return -1
	}
	return f.head + int(caplen)
}

// dated reports whether the time of a record is near that of the last good one.
func (f *pcapFile) dated(b []byte) bool {
	sec, frac, _, _ := f.header(b)
	unit := int64(1e6)
	if f.nano {
		unit = 1e9
	}
	const day = 86400
	return frac < unit && (f.lastSec == 0 || sec >= f.lastSec-day && sec <= f.lastSec+day)
}

// broken is damage behind which nothing can be read.
type broken struct{ at int64 }

func (e *broken) Error() string { return "damaged record header, and no other record behind it" }

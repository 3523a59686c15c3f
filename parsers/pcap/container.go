package pcap

import (
	"encoding/binary"
	"errors"

	"github.com/culprit-dev/culprit/analyze"
)

// record is one frame as its file stores it.
type record struct {
	data   []byte // what was captured of it; valid until the next record
	wire   int    // its length on the wire
	ts     int64  // nanoseconds since 1970, noTime if the file gives none
	link   int    // LINKTYPE of its interface
	iface  int
	offset int64 // of the record in the file
	length int   // of the record in the file, as far as it was looked at
	number int   // as Wireshark counts
	opaque bool  // a block that counts as a frame and holds no packet
}

// noTime marks a frame without a time; no capture reaches back to 1677.
const noTime = -1 << 63

// container reads the records of one capture format.
type container interface {
	// next fills a record. io.EOF is the regular end, errCut the end inside of a
	// record; any other error says why it cannot go on.
	next(*record) error
	// about is what the file says of itself, complete at the end.
	about() *fileInfo
}

// fileInfo is what a capture file says of itself.
type fileInfo struct {
	format     string
	snaplen    int
	links      []int // in order of appearance, each once
	interfaces []string
	drops      int64
	dropsKnown bool
	// damaged counts places where the reader had to look for the next record.
	damaged int64
}

func (f *fileInfo) addLink(l int) {
	for _, have := range f.links {
		if have == l {
			return
		}
	}
	// A hostile pcapng may declare an interface every 20 bytes.
	if len(f.links) < maxNamed {
		f.links = append(f.links, l)
	}
}

func (f *fileInfo) addInterface(name string) {
	if name == "" || len(f.interfaces) >= maxNamed {
		return
	}
	for _, have := range f.interfaces {
		if have == name {
			return
		}
	}
	f.interfaces = append(f.interfaces, name)
}

// maxNamed bounds the link types and interface names that are listed.
const maxNamed = 64

// errCut is the end of a file inside of a record.
var errCut = errors.New("the file ends inside a record")

// skipped is a record that was passed over; reading goes on.
type skipped struct {
	at  int64
	why string
}

func (e *skipped) Error() string { return e.why }

// openContainer recognises the format by its magic number.
func openContainer(s *source) (container, error) {
	head := s.peek(24)
	switch sniffMagic(head) {
	case magicPcap:
		return newPcapFile(s, head)
	case magicPcapng:
		return newPcapng(s), nil
	case magicSnoop:
		return newSnoop(s, head)
	}
	if s.err != nil {
		return nil, s.err
	}
	return nil, analyze.ErrForeign
}

// magic is a capture format.
type magic int

const (
	noMagic magic = iota
	magicPcap
	magicPcapng
	magicSnoop
)

// Magic numbers of pcap files, as read in the byte order of the writer.
const (
	pcapMicro    = 0xa1b2c3d4
	pcapNano     = 0xa1b23c4d
	pcapModified = 0xa1b2cd34 // Kuznetzov's patched libpcap, longer record headers
	ixiaNano     = 0x1c0001ac // Ixia lcap: the file header is four bytes longer
	ixiaMicro    = 0x1c0001ab
	ngSection    = 0x0a0d0d0a
	ngOrder      = 0x1a2b3c4d
)

func sniffMagic(b []byte) magic {
	if len(b) < 8 {
		return noMagic
	}
	if string(b[:8]) == "snoop\x00\x00\x00" {
		return magicSnoop
	}
	if binary.BigEndian.Uint32(b) == ngSection {
		if len(b) >= 12 && (binary.LittleEndian.Uint32(b[8:]) == ngOrder || binary.BigEndian.Uint32(b[8:]) == ngOrder) {
			return magicPcapng
		}
		return noMagic
	}
	if order, _ := pcapOrder(b); order != nil {
		return magicPcap
	}
	return noMagic
}

// pcapOrder finds the byte order of a pcap file and its magic number.
func pcapOrder(b []byte) (binary.ByteOrder, uint32) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch m := order.Uint32(b); m {
		case pcapMicro, pcapNano, pcapModified, ixiaNano, ixiaMicro:
			return order, m
		}
	}
	return nil, 0
}

package pcap

import (
	"maps"
	"slices"
	"testing"
)

// FuzzDecode decodes frames of every link type without the recovery that decode
// has. What it says of lengths must fit the frame.
func FuzzDecode(f *testing.F) {
	links := slices.Sorted(maps.Keys(linkNames))
	ip := []byte{
		0x45, 0, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0xa0, 2, 1, 0, 0, 0, 0, 0,
		2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
	}
	ether := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, ip...)
	for i := range links {
		f.Add(uint8(i), ip, uint32(60))
		f.Add(uint8(i), ether, uint32(100))
	}
	for _, proto := range []byte{1, 4, 17, 41, 47, 51, 58, 97, 108, 137} {
		b := slices.Clone(ether)
		b[14+9] = proto
		f.Add(uint8(1), b, uint32(74))
	}
	d := newDecoder()
	var text []byte
	d.text = &text
	f.Fuzz(func(t *testing.T, link uint8, data []byte, wire uint32) {
		r := record{data: data, wire: int(wire % (1 << 20)), link: links[int(link)%len(links)], number: 1}
		var p packet
		text = text[:0]
		d.frame(&r, &p)
		if p.payload < 0 || int(p.payload) > 1<<20 || int(p.headLen) > len(p.head) || d.depth > maxDepth+1 {
			t.Errorf("payload %d, head %d, depth %d of a frame of %d bytes", p.payload, p.headLen, d.depth, len(data))
		}
	})
}

package differential

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

const corpus = "../../../../../shared/corpora/pcap/"

// contradictory are frames whose IP length says more than the frame, the PPPoE
// header or the tunnel around it holds, or damaged in their first header: the fork
// believes the length, we are with Wireshark.
var contradictory = map[string]int{
	"gopacket-gopacket/layers/testdata/linux_sll_oversized_addr.pcapng":            9,
	"tcpdump/tests/bigtcp-ipv4-geneve-ipv4.pcap":                                   1,
	"tcpdump/tests/bigtcp-ipv4-vxlan-ipv4.pcap":                                    1,
	"tcpdump/tests/bigtcp-ipv4.pcap":                                               1,
	"tcpdump/tests/kday4.pcap":                                                     1,
	"tcpdump/tests/kday7.pcap":                                                     1,
	"tcpdump/tests/tcp_header_heapoverflow.pcap":                                   1,
	"zeek/testing/btest/Traces/modbus/fuzz-1011.pcap":                              1,
	"zeek/testing/btest/Traces/modbus/fuzz-72.pcap":                                2,
	"zeek/testing/btest/Traces/pppoe-over-qinq.pcap":                               6,
	"zeek/testing/btest/Traces/tcp/reassembly.pcap":                                5,
	"zeek/testing/btest/Traces/tunnels/gtp/gtp9_unknown_or_too_short_payload.pcap": 1,
}

// TestFork reads each capture of the corpus that the fork can open and compares
// the innermost TCP header of each frame in which the fork finds one whole:
// addresses, ports, flags, window and length of the payload.
func TestFork(t *testing.T) {
	if _, err := os.Stat(corpus); err != nil {
		t.Skip("the captures of other projects are not here")
	}
	files, frames, known := 0, 0, 0
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		theirs := fork(content)
		if len(theirs) == 0 {
			return nil
		}
		if strings.HasSuffix(path, ".gz") {
			return nil // the fork unpacks it, we have package bundle for that
		}
		files++
		var refs []fact.Ref
		for n := range theirs {
			refs = append(refs, fact.Ref{Packet: n})
		}
		in := &analyze.Input{Path: path, Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
		ours, err := pcap.Parser().Excerpt(t.Context(), in, refs)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return nil
		}
		name := strings.TrimPrefix(path, corpus)
		var differ []string
		for i, ref := range refs {
			frames++
			if want := theirs[ref.Packet]; !want.in(ours[i]) {
				differ = append(differ, fmt.Sprintf("%s frame %d: the fork says %q, we %q", name, ref.Packet, want, ours[i]))
			}
		}
		known += contradictory[name]
		if len(differ) != contradictory[name] {
			t.Errorf("%d frames differ, %d are known to\n%s", len(differ), contradictory[name], strings.Join(differ, "\n"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d frames of %d captures, %d differ as known", frames, files, known)
}

// segment is a TCP header in the words of an excerpt.
type segment struct{ ends, rest string }

func (s segment) String() string { return s.ends + " ... " + s.rest }

func (s segment) in(excerpt string) bool {
	return strings.Contains(excerpt, " "+s.ends+",") && strings.HasSuffix(excerpt, s.rest)
}

// fork returns the segments that the fork decodes, by frame number, nothing for a
// file that it cannot open.
func fork(content []byte) map[int]segment {
	out := map[int]segment{}
	var src gopacket.PacketDataSource
	var link layers.LinkType
	if r, err := pcapgo.NewReader(bytes.NewReader(content)); err == nil {
		src, link = r, r.LinkType()
	} else if r, err := pcapgo.NewNgReader(bytes.NewReader(content), pcapgo.NgReaderOptions{WantMixedLinkType: true}); err == nil {
		src = r
	} else {
		return nil
	}
	for n := 1; ; n++ {
		data, info, err := src.ReadPacketData()
		if err != nil {
			return out
		}
		for _, a := range info.AncillaryData { // of the packet's interface
			if l, ok := a.(layers.LinkType); ok {
				link = l
			}
		}
		if s, ok := decode(data, info, link); ok {
			out[n] = s
		}
	}
}

// decode finds the innermost TCP header that is captured whole.
func decode(data []byte, info gopacket.CaptureInfo, link layers.LinkType) (s segment, ok bool) {
	defer func() { // the fork panics on a few damaged packets
		if recover() != nil {
			ok = false
		}
	}()
	p := gopacket.NewPacket(data, link, gopacket.NoCopy)
	var src, dst string
	end := 0 // of the IP packet in the frame, as its header says
	at := func(contents []byte) int { return cap(data) - cap(contents) }
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.IPv4:
			if l.Flags&layers.IPv4MoreFragments != 0 || l.FragOffset != 0 {
				return segment{}, false
			}
			src, dst, end = l.SrcIP.String(), l.DstIP.String(), at(l.Contents)+int(l.Length)
		case *layers.IPv6:
			src, dst, end = l.SrcIP.String(), l.DstIP.String(), at(l.Contents)+40+int(l.Length)
		case *layers.IPv6Fragment, *layers.ICMPv4, *layers.ICMPv6:
			return segment{}, false
		case *layers.TCP:
			payload := end - at(l.Contents) - int(l.DataOffset)*4
			ok = payload >= 0
			s = segment{
				fmt.Sprintf("%s.%d > %s.%d: Flags [%s]", src, l.SrcPort, dst, l.DstPort, flags(l)),
				fmt.Sprintf("win %d, length %d", l.Window, payload),
			}

		}
	}
	return s, ok
}

func flags(l *layers.TCP) string {
	var b strings.Builder
	for _, f := range []struct {
		set    bool
		letter byte
	}{{l.FIN, 'F'}, {l.SYN, 'S'}, {l.RST, 'R'}, {l.PSH, 'P'}, {l.ACK, '.'}, {l.URG, 'U'}, {l.ECE, 'E'}, {l.CWR, 'W'}} {
		if f.set {
			b.WriteByte(f.letter)
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

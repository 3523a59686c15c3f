package rulecase

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// frames renders each frame of an Ethernet pcap as one line: time, ports, flags,
// sequence numbers from the ISN, payload, window, TTL, IP-ID and the length of the
// TCP options. It checks every checksum on the way.
func frames(t *testing.T, pcap []byte) []string {
	t.Helper()
	le := binary.LittleEndian
	require.Equal(t, uint32(0xa1b2c3d4), le.Uint32(pcap))
	require.Equal(t, uint32(linkEthernet), le.Uint32(pcap[20:]))
	var out []string
	isn := map[string]uint32{} // by sender and receiver
	for rest := pcap[24:]; len(rest) > 0; {
		at := time.Duration(le.Uint32(rest))*time.Second + time.Duration(le.Uint32(rest[4:]))*time.Microsecond
		n := int(le.Uint32(rest[8:]))
		frame := rest[16 : 16+n]
		rest = rest[16+n:]
		out = append(out, fmt.Sprintf("%v %s", at, frameText(t, frame, isn)))
	}
	return out
}

func frameText(t *testing.T, frame []byte, isn map[string]uint32) string {
	t.Helper()
	be := binary.BigEndian
	ip, etherType := frame[14:], be.Uint16(frame[12:])
	if etherType == 0x8100 {
		ip, etherType = frame[18:], be.Uint16(frame[16:])
	}
	var src, dst netip.Addr
	var seg []byte
	var ttl, id int
	switch etherType {
	case 0x0800:
		require.Equal(t, uint16(0xffff), fold(sum16(0, ip[:20])), "IP checksum")
		require.Equal(t, len(ip), int(be.Uint16(ip[2:])))
		src, _ = netip.AddrFromSlice(ip[12:16])
		dst, _ = netip.AddrFromSlice(ip[16:20])
		ttl, id, seg = int(ip[8]), int(be.Uint16(ip[4:])), ip[20:]
		if ip[9] == protoICMP {
			return fmt.Sprintf("icmp %s %d/%d", src, seg[0], seg[1])
		}
	case 0x86dd:
		src, _ = netip.AddrFromSlice(ip[8:24])
		dst, _ = netip.AddrFromSlice(ip[24:40])
		ttl, seg = int(ip[7]), ip[40:]
	default:
		return "raw " + hex.EncodeToString(frame)
	}
	sum := sum16(sum16(0, src.AsSlice()), dst.AsSlice()) + protoTCP + uint32(len(seg))
	require.Equal(t, uint16(0xffff), fold(sum16(sum, seg)), "TCP checksum")
	from := fmt.Sprintf("%d>%d", be.Uint16(seg), be.Uint16(seg[2:]))
	to := fmt.Sprintf("%d>%d", be.Uint16(seg[2:]), be.Uint16(seg))
	seq, ack, flags := be.Uint32(seg[4:]), be.Uint32(seg[8:]), seg[13]
	if flags&flagSYN != 0 {
		isn[from] = seq
	}
	header := int(seg[12]>>4) * 4
	var names []string
	for i, name := range strings.Fields("FIN SYN RST PSH ACK URG ECE CWR") {
		if flags>>i&1 == 1 {
			names = append(names, name)
		}
	}
	text := fmt.Sprintf("%s %s seq=%d", from, strings.Join(names, ","), seq-isn[from])
	if seq == 0 {
		text = fmt.Sprintf("%s %s seq=raw0", from, strings.Join(names, ","))
	}
	if flags&flagACK != 0 {
		text += fmt.Sprintf(" ack=%d", ack-isn[to])
	}
	return text + fmt.Sprintf(" len=%d win=%d ttl=%d id=%d opts=%d", len(seg)-header, be.Uint16(seg[14:]), ttl, id, header-20)
}

const captureExample = `
start 1970-01-01T00:00:00Z
flow 10.0.0.1:40000 > 10.0.0.2:80     # C is the left side
0.000  C>S SYN
+0.001 S>C SYN,ACK
+0.001 C>S ACK
C>S data 100
S>C "HTTP/1.1 200 OK\r\n\r\n"
C>S data 50 lost
C>S data 30
S>C ACK
0.5 C>S data 50 seq=101
S>C ACK win=0 dup
C>S keepalive unseen
S>C FIN,ACK ttl=61
C>S data 5 ack=-1
S>C RST ipid=copy
`

func TestCompileCapture(t *testing.T) {
	out, err := CompileCapture([]byte(captureExample))
	require.NoError(t, err)
	assert.Equal(t, strings.Split(strings.TrimSpace(`
0s 40000>80 SYN seq=0 len=0 win=64240 ttl=64 id=1000 opts=20
1ms 80>40000 SYN,ACK seq=0 ack=1 len=0 win=64240 ttl=64 id=0 opts=20
2ms 40000>80 ACK seq=1 ack=1 len=0 win=501 ttl=64 id=1001 opts=12
2.1ms 40000>80 PSH,ACK seq=1 ack=1 len=100 win=501 ttl=64 id=1002 opts=12
2.2ms 80>40000 PSH,ACK seq=1 ack=101 len=19 win=501 ttl=64 id=31000 opts=12
2.3ms 40000>80 PSH,ACK seq=101 ack=20 len=50 win=501 ttl=64 id=1003 opts=12
2.4ms 40000>80 PSH,ACK seq=151 ack=20 len=30 win=501 ttl=64 id=1004 opts=12
2.5ms 80>40000 ACK seq=20 ack=101 len=0 win=501 ttl=64 id=31001 opts=12
500ms 40000>80 PSH,ACK seq=101 ack=20 len=50 win=501 ttl=64 id=1005 opts=12
500.1ms 80>40000 ACK seq=20 ack=181 len=0 win=0 ttl=64 id=31002 opts=12
500.101ms 80>40000 ACK seq=20 ack=181 len=0 win=0 ttl=64 id=31002 opts=12
500.3ms 80>40000 FIN,ACK seq=20 ack=181 len=0 win=501 ttl=61 id=31003 opts=12
500.4ms 40000>80 PSH,ACK seq=181 ack=20 len=5 win=501 ttl=64 id=1007 opts=12
500.5ms 80>40000 RST seq=20 len=0 win=0 ttl=64 id=1007 opts=0
`), "\n"), frames(t, out))
	again, err := CompileCapture([]byte(captureExample))
	require.NoError(t, err)
	assert.Equal(t, out, again)
}

func TestCompileCaptureBlocks(t *testing.T) {
	out, err := CompileCapture([]byte(`
start 1970-01-01T00:00:00Z
repeat 2 every=1 at=5
flow [fd00::1]:700+ > [fd00::2]:80 vlan=7 ts=off
0 C>S SYN
S>C RST,ACK
end
flow a: 127.0.0.1:900 > 127.0.0.2:80 ts=off
0.25 a open
0.3 a exchange 10 20 in=0.5
2.5 close S
flow 10.0.0.1:901 > 10.0.0.2:80
3 C>S SYN
S>C icmp 3/13 from=10.0.0.254
4 raw 00112233445566778899aabbffff
`))
	require.NoError(t, err)
	assert.Equal(t, strings.Split(strings.TrimSpace(`
250ms 900>80 SYN seq=0 len=0 win=64240 ttl=64 id=3000 opts=12
250.1ms 80>900 SYN,ACK seq=0 ack=1 len=0 win=64240 ttl=64 id=0 opts=12
250.2ms 900>80 ACK seq=1 ack=1 len=0 win=501 ttl=64 id=3001 opts=0
300ms 900>80 PSH,ACK seq=1 ack=1 len=10 win=501 ttl=64 id=3002 opts=0
300.1ms 80>900 ACK seq=1 ack=11 len=0 win=501 ttl=64 id=33000 opts=0
800.1ms 80>900 PSH,ACK seq=1 ack=11 len=20 win=501 ttl=64 id=33001 opts=0
800.2ms 900>80 ACK seq=11 ack=21 len=0 win=501 ttl=64 id=3003 opts=0
2.5s 80>900 FIN,ACK seq=21 ack=11 len=0 win=501 ttl=64 id=33002 opts=0
2.5001s 900>80 FIN,ACK seq=11 ack=22 len=0 win=501 ttl=64 id=3004 opts=0
2.5002s 80>900 ACK seq=22 ack=12 len=0 win=501 ttl=64 id=33003 opts=0
3s 901>80 SYN seq=0 len=0 win=64240 ttl=64 id=4000 opts=20
3.0001s icmp 10.0.0.254 3/13
4s raw 00112233445566778899aabbffff
5s 700>80 SYN seq=0 len=0 win=64240 ttl=64 id=0 opts=12
5.0001s 80>700 RST,ACK seq=raw0 ack=1 len=0 win=0 ttl=64 id=0 opts=0
6s 701>80 SYN seq=0 len=0 win=64240 ttl=64 id=0 opts=12
6.0001s 80>701 RST,ACK seq=raw0 ack=1 len=0 win=0 ttl=64 id=0 opts=0
`), "\n"), frames(t, out))
}

func TestCompileCaptureErrors(t *testing.T) {
	const flow = "flow 1.1.1.1:1 > 2.2.2.2:2\n"
	for text, want := range map[string]string{
		"C>S SYN":                      "line 1: \"C>S\" before any flow",
		flow + "C>S SIN":               "line 2: \"SIN\" is no packet",
		flow + "C>S data":              "line 2: data without a length",
		flow + "C>S ACK seq=x":         "line 2: \"seq=x\"",
		flow + "\n+x C>S ACK":          "line 3: \"x\" is no time",
		flow + "repeat 2 every=1":      "line 2: repeat without end",
		flow + "end":                   "line 2: end without repeat",
		flow + "C>S \"open":            "line 2: a string without its end",
		flow + "S>C rexmit":            "line 2: rexmit, but nothing was sent",
		"flow 1.1.1.1:1 > [::1]:2":     "line 1: the two sides are of different families",
		"link token-ring":              "line 1: unknown link",
		"repeat 1 every=1\nsnap\nend":  "line 2: ",
		flow + "C>S data 65535":        "line 2: a packet of 65587 bytes",
		flow + "S>C icmp 3/1":          "line 2: want icmp TYPE/CODE after a packet of the other side",
		"cut 1000":                     "cut 1000: the file has only 24 bytes",
		flow + "0.1 C>S ACK opts=some": "line 2: \"opts=some\": want opts=none",
	} {
		_, err := CompileCapture([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
}

func TestCompileCaptureLinks(t *testing.T) {
	header := map[string]int{"raw": 0, "sll": 16, "sll2": 20, "ethernet": 14}
	for link, n := range header {
		out, err := CompileCapture([]byte("link " + link + "\nnano\nsnaplen 60\nflow 1.1.1.1:1 > 2.2.2.2:2\n0.000000001 C>S data 100\ncut 3\n"))
		require.NoError(t, err)
		le := binary.LittleEndian
		assert.Equal(t, uint32(0xa1b23c4d), le.Uint32(out))
		assert.Equal(t, uint32(1), le.Uint32(out[28:]))
		assert.Equal(t, uint32(60), le.Uint32(out[32:]))
		assert.Equal(t, uint32(n+20+32+100), le.Uint32(out[36:]), link)
		assert.Len(t, out, 24+16+60-3)
		assert.Equal(t, byte(0x45), out[40+n], link)
	}
}

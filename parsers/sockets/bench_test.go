package sockets_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/sockets"
)

// BenchmarkTanpoemi reads a table of 100,000 rows as `ss -tanpoemi` prints it, with
// its padding and a second line for each row.
func BenchmarkTanpoemi(b *testing.B) {
	var table bytes.Buffer
	fmt.Fprintln(&table, "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process")
	const rows = 100_000
	for i := range rows {
		fmt.Fprintf(&table, "%-10s%-7d%-7d%20s:%-6d%20s:%-6d users:((\"node\",pid=3286,fd=%d)) timer:(keepalive,%dmin,0) uid:1001 ino:%d sk:%x cgroup:/ <->%200s\n",
			"ESTAB", 0, 0, fmt.Sprintf("10.9.%d.%d", i>>8&3, i&255), 32768+i%28000, "127.0.0.1", 9527, i%4000, i%120, 100000+i, i, "")
		fmt.Fprintf(&table, "\t skmem:(r0,rb131072,t0,tb3939840,f0,w0,o0,bl0,d0) ts sack bbr wscale:10,10 rto:204 rtt:0.009/0.005 ato:40 mss:32768 pmtu:65535 rcvmss:536 "+
			"advmss:65483 cwnd:11 bytes_sent:33 bytes_acked:34 bytes_received:40 segs_out:4 segs_in:3 data_segs_out:1 data_segs_in:1 "+
			"bbr:(bw:65536000000bps,mrtt:0.004,pacing_gain:2.88672,cwnd_gain:2.88672) send 320398222222bps lastsnd:%d lastrcv:19516 lastack:19516 "+
			"pacing_rate 748551344056bps delivery_rate 65536000000bps delivered:2 app_limited rcv_space:65495 rcv_ssthresh:65495 minrtt:0.004 snd_wnd:65536\n", i)
	}
	in := &analyze.Input{Path: "ss_tanpoemi.txt", Size: int64(table.Len()), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(table.Bytes())), nil }}
	b.SetBytes(int64(table.Len()))
	b.ReportAllocs()
	for b.Loop() {
		got, err := analyze.Read(b.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{sockets.Parser()}, Jobs: 1})
		if err != nil || got.Artifacts[0].Facts != rows+1 {
			b.Fatal(err, got.Artifacts)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

package sockets_test

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/sockets"
)

// These flags write a table to measure whole programs with: see BENCHMARKS.md.
var (
	writeTo = flag.String("write", "", "write a table of ss to this file")
	rows    = flag.Int("rows", 100_000, "rows of the table")
	plain   = flag.Bool("plain", false, "write what ss -tuan prints, not -tanpoemi")
)

func TestWrite(t *testing.T) {
	if *writeTo == "" {
		t.Skip("no -write FILE")
	}
	f, err := os.Create(*writeTo)
	require.NoError(t, err)
	w := bufio.NewWriter(f)
	if *plain {
		writePlain(w, *rows)
	} else {
		writeFull(w, *rows)
	}
	require.NoError(t, w.Flush())
	require.NoError(t, f.Close())
}

func localEnd(i int) string { return fmt.Sprintf("10.9.%d.%d:%d", i>>8&3, i&255, 32768+i%28000) }

// writePlain writes what `ss -tuan` prints.
func writePlain(w io.Writer, rows int) {
	fmt.Fprintln(w, "Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process")
	for i := range rows {
		fmt.Fprintf(w, "%-6s%-7s%-7d%-7d%20s%20s        \n", "tcp", "ESTAB", 0, 0, localEnd(i), "127.0.0.1:9527")
	}
}

// writeFull writes what `ss -tanpoemi` prints, with its padding and a second line
// for each row.
func writeFull(w io.Writer, rows int) {
	fmt.Fprintln(w, "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process")
	for i := range rows {
		fmt.Fprintf(w, "%-7s%-7d%-7d%20s%20s users:((\"node\",pid=3286,fd=%d)) timer:(keepalive,%dmin,0) uid:1001 ino:%d sk:%x cgroup:/ <->%60s\n",
			"ESTAB", 0, 0, localEnd(i), "127.0.0.1:9527", i%4000, i%120, 100000+i, i, "")
		fmt.Fprintf(w, "\t skmem:(r0,rb131072,t0,tb3939840,f0,w0,o0,bl0,d0) ts sack bbr wscale:10,10 rto:204 rtt:0.009/0.005 ato:40 mss:32768 pmtu:65535 rcvmss:536 "+
			"advmss:65483 cwnd:11 bytes_sent:33 bytes_acked:34 bytes_received:40 segs_out:4 segs_in:3 data_segs_out:1 data_segs_in:1 "+
			"bbr:(bw:65536000000bps,mrtt:0.004,pacing_gain:2.88672,cwnd_gain:2.88672) send 320398222222bps lastsnd:%d lastrcv:19516 lastack:19516 "+
			"pacing_rate 748551344056bps delivery_rate 65536000000bps delivered:2 app_limited rcv_space:65495 rcv_ssthresh:65495 minrtt:0.004 snd_wnd:65536\n", i)
	}
}

func BenchmarkTuan(b *testing.B)     { benchmark(b, "ss_tuan.txt", writePlain) }
func BenchmarkTanpoemi(b *testing.B) { benchmark(b, "ss_tanpoemi.txt", writeFull) }

// benchmark reads a table of 100,000 rows.
func benchmark(b *testing.B, name string, write func(io.Writer, int)) {
	const rows = 100_000
	var table bytes.Buffer
	write(&table, rows)
	in := &analyze.Input{Path: name, Size: int64(table.Len()), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(table.Bytes())), nil }}
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

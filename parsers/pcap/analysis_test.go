package pcap_test

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/pcap"
)

// analysed are captures for each sign, and beside them all that must be counted.
var analysed = map[string]struct {
	text string
	want fact.Counts
}{
	"nothing": {"open\nexchange 100 200\nclose C", fact.Counts{}},
	"retransmission": {"open\nC>S data 100\n+0.3 C>S rexmit\nS>C ACK",
		fact.Counts{Retransmission: 1}},
	"spurious": {"open\nC>S data 100\nS>C ACK\n+0.3 C>S rexmit",
		fact.Counts{Retransmission: 1, SpuriousRetransmission: 1}},
	"fast": {"open\nC>S data 100 lost\nC>S data 100\nS>C ACK\nC>S data 100\nS>C ACK\nC>S data 100\nS>C ACK\n+0.001 C>S data 100 seq=1",
		fact.Counts{Retransmission: 1, FastRetransmission: 1, DupACK: 2, WindowUpdate: 1}},
	"fast, but late": {"open\nC>S data 100 lost\nC>S data 100\nS>C ACK\nC>S data 100\nS>C ACK\nC>S data 100\nS>C ACK\n+0.021 C>S data 100 seq=1",
		fact.Counts{Retransmission: 1, DupACK: 2, WindowUpdate: 1}},
	"out of order within the round trip": {"0 C>S SYN\n+0.01 S>C SYN,ACK\nC>S ACK\nC>S data 100 unseen\nC>S data 100\n+0.005 C>S data 100 seq=1",
		fact.Counts{OutOfOrder: 1, LostSegment: 1}},
	"out of order, but late": {"0 C>S SYN\n+0.01 S>C SYN,ACK\nC>S ACK\nC>S data 100 unseen\nC>S data 100\n+0.02 C>S data 100 seq=1",
		fact.Counts{Retransmission: 1, LostSegment: 1}},
	"out of order within the round trip that the first ACK shows, which is itself ahead": {"0 C>S SYN\n+0.001 S>C SYN,ACK\n+0.015 C>S data 100 unseen\nC>S data 100\n+0.008 C>S data 100 seq=1",
		fact.Counts{OutOfOrder: 1, LostSegment: 1}},
	"out of order, but late for the round trip since the last SYN": {"0 C>S SYN\n+1 C>S SYN seq=0\n+0.001 S>C SYN,ACK\n+0.004 C>S ACK\nC>S data 100 unseen\nC>S data 100\n+0.006 C>S data 100 seq=1",
		fact.Counts{Retransmission: 2, LostSegment: 1}},
	"lost": {"open\nC>S data 100 unseen\nC>S data 100\nS>C ACK",
		fact.Counts{LostSegment: 1, ACKedLostSegment: 1}},
	"acked lost": {"open\nC>S data 100 unseen\nS>C ACK",
		fact.Counts{ACKedLostSegment: 1}},
	"keep-alive": {"open\nexchange 10 10\n+60 C>S keepalive\nS>C ACK",
		fact.Counts{KeepAlive: 1, KeepAliveACK: 1}},
	"closed window": {"open\nC>S data 100\nS>C ACK win=0\n+0.2 C>S keepalive\nS>C ACK win=0\n+1 S>C ACK win=501",
		fact.Counts{ZeroWindow: 2, KeepAlive: 1, WindowUpdate: 1}},
	"probe with a byte": {"open\nC>S data 100\nS>C ACK win=0\n+0.2 C>S data 1 lost\nS>C ACK win=0",
		fact.Counts{ZeroWindow: 2, ZeroWindowProbe: 1, ZeroWindowProbeACK: 1}},
	"window full": {"open\nC>S data 100\nS>C ACK win=4\nC>S data 512",
		fact.Counts{WindowFull: 1}},
	"window update": {"open\nC>S data 100\nS>C ACK win=4\nS>C ACK win=400",
		fact.Counts{WindowUpdate: 1}},
	"FIN twice": {"open\nC>S FIN,ACK\n+0.5 C>S FIN,ACK seq=-1\nS>C ACK",
		fact.Counts{Retransmission: 1}},
	"refusing RST, then another try": {"0 C>S SYN\nS>C RST,ACK\n0.5 C>S SYN seq=0\nS>C SYN,ACK\nC>S ACK",
		fact.Counts{RST: 1, Retransmission: 1}},
}

// TestAnalysis checks each sign of the TCP analysis.
func TestAnalysis(t *testing.T) {
	for name, c := range analysed {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, flow(t, web+c.text).Counts)
		})
	}
}

// tsharkNames are the names of the signs there.
var tsharkNames = map[string]string{
	"ZeroWindow": "zero_window", "WindowFull": "window_full", "WindowUpdate": "window_update", "Retransmission": "retransmission",
	"FastRetransmission": "fast_retransmission", "SpuriousRetransmission": "spurious_retransmission", "OutOfOrder": "out_of_order",
	"DupACK": "duplicate_ack", "KeepAlive": "keep_alive", "KeepAliveACK": "keep_alive_ack", "ZeroWindowProbe": "zero_window_probe",
	"ZeroWindowProbeACK": "zero_window_probe_ack", "LostSegment": "lost_segment", "ACKedLostSegment": "ack_lost_segment",
}

// TestTshark checks that the expectations of TestAnalysis and of the golden files are
// those of tshark 4.0, where it is installed.
func TestTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("starts tshark twenty times")
	}
	version, err := exec.Command("tshark", "--version").Output()
	if err != nil || !bytes.HasPrefix(version, []byte("TShark (Wireshark) 4.0.")) {
		t.Skip("tshark 4.0 is not there")
	}
	texts := map[string]string{"trouble": sample(t, "trouble.pcap.txt"), "connections": sample(t, "connections.pcap.txt")}
	for name, c := range analysed {
		texts[name] = web + c.text
	}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := compile(t, text)
			path := filepath.Join(t.TempDir(), "x.pcap")
			require.NoError(t, os.WriteFile(path, content, 0o600))
			st, _ := parsertest.Run(t, pcap.Parser(), "x.pcap", content)
			args := []string{"-r", path, "-T", "fields"}
			var fields []string
			for field, theirs := range tsharkNames {
				fields, args = append(fields, field), append(args, "-e", "tcp.analysis."+theirs)
			}
			out, err := exec.Command("tshark", args...).Output()
			require.NoError(t, err)
			want, got := map[string]int{}, map[string]int{}
			for line := range strings.Lines(string(out)) {
				for i, v := range strings.Split(strings.TrimSuffix(line, "\n"), "\t") {
					if v != "" {
						want[fields[i]]++
					}
				}
			}
			for _, f := range records(st) {
				for _, field := range fields {
					if n := int(reflect.ValueOf(f.Counts).FieldByName(field).Int()); n > 0 {
						got[field] += n
					}
				}
			}
			require.Equal(t, want, got)
		})
	}
}

// TestCopies checks that a frame captured twice is counted as Wireshark does and
// changes nothing else.
func TestCopies(t *testing.T) {
	once := flow(t, web+"open\nC>S data 100\nS>C ACK\nC>S data 50\nS>C ACK\n+1 S>C RST,ACK")
	twice := flow(t, web+"open\nC>S data 100 dup\nS>C ACK dup\nC>S data 50\nS>C ACK\n+1 S>C RST,ACK dup")
	require.Zero(t, once.Counts.Retransmission)
	require.Nil(t, once.Copies)
	require.EqualValues(t, 1, twice.Counts.Retransmission)
	require.EqualValues(t, 1, twice.Counts.DupACK)
	require.EqualValues(t, 2, twice.Counts.RST)
	require.EqualValues(t, 3, twice.Counts.Duplicate)
	require.EqualValues(t, 1, twice.Copies.Retransmission)
	packed := twice.Flow()
	require.Zero(t, packed.Retransmitted())
	require.Len(t, twice.Resets, 1)
	require.Equal(t, once.PayloadBytes, twice.PayloadBytes)
	require.Equal(t, once.Packets, twice.Packets)
	require.Equal(t, once.History, twice.History)
	// Sent again by the host, not captured again: another IP-ID, or too late.
	again := flow(t, web+"open\nC>S data 100\n+0.0005 C>S rexmit\nS>C ACK")
	require.Zero(t, again.Counts.Duplicate)
	packed = again.Flow()
	require.Equal(t, 1, packed.Retransmitted())
}

// TestReuse checks that the same addresses and ports with a new ISN are a new flow.
func TestReuse(t *testing.T) {
	st, _ := read(t, web+"open\nexchange 10 10\nclose C\n"+"+30 "+strings.TrimSuffix("C>S SYN seq=5000000 ack=0", "\n")+"\nS>C RST,ACK")
	all := records(st)
	require.Len(t, all, 2)
	require.True(t, all[0].Established)
	require.False(t, all[0].Refused)
	require.NotEqual(t, all[0].ClientISN, all[1].ClientISN)
	require.True(t, all[1].Refused)
}

// TestMidStream checks who is taken for the client when no SYN was captured.
func TestMidStream(t *testing.T) {
	for _, c := range []struct{ text, client string }{
		{"flow 10.0.0.9:43000 > 10.0.0.2:8080\nS>C data 10\nC>S ACK", "10.0.0.9:43000"},
		{"flow 10.0.0.9:8080 > 10.0.0.2:43000\nS>C data 10\nC>S ACK", "10.0.0.2:43000"},
		{"flow 10.0.0.9:50123 > 10.0.0.2:443\nC>S data 10\nS>C ACK", "10.0.0.9:50123"},
		// A port that Linux gives to clients, but another flow says that it is a server's.
		{"flow a: 10.0.0.8:34000 > 10.0.0.2:50000\nopen\nflow 10.0.0.9:40000 > 10.0.0.2:50000\nS>C data 10\nC>S ACK", "10.0.0.9:40000"},
	} {
		st, _ := read(t, c.text)
		all := records(st)
		f := all[len(all)-1]
		require.Equal(t, c.client, f.Client.String(), c.text)
		require.False(t, f.ClientSure)
		require.Contains(t, f.Partial, "no start")
	}
}

// oracleColumns are the measures of the corpus that another analyser counted.
var oracleColumns = map[string]string{
	"rst": "RST", "zero_window": "ZeroWindow", "window_full": "WindowFull", "retrans": "Retransmission", "dup_ack": "DupACK",
	"keep_alive": "KeepAlive", "zw_probe": "ZeroWindowProbe", "ooo": "OutOfOrder", "lost_seg": "LostSegment",
}

// deliberate are the captures of the corpus in which we count another number of
// flows on purpose; doc.md says why.
var deliberate = []string{"bigtcp-", "sflow_expanded", "tcp-reassembly.pcap", "ayiya3"}

// TestOracle compares with the counts of tshark 4.0 on two thousand captures, where
// the corpus is at hand.
func TestOracle(t *testing.T) {
	const root = "../../../shared/corpora/pcap/"
	table, err := os.Open(root + "oracle.tsv")
	if err != nil {
		t.Skip("the corpus is not there")
	}
	defer table.Close()
	r := csv.NewReader(table)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	require.NoError(t, err)
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, row := range rows[1:] {
		if row[column["ts_status"]] != "0" {
			continue
		}
		name := row[column["file"]]
		content, err := os.ReadFile(root + name)
		require.NoError(t, err)
		got := measure(t, inflate(t, content))
		for col, n := range got {
			want, _ := strconv.Atoi(row[column[col]])
			if n != want && !explained(name, col) {
				t.Errorf("%s: %s is %d, tshark says %d", name, col, n, want)
			}
		}
	}
}

func explained(name, column string) bool {
	for _, d := range deliberate {
		if column == "tcp_streams" && strings.Contains(name, d) {
			return true
		}
	}
	return false
}

func measure(t *testing.T, content []byte) map[string]int {
	t.Helper()
	got := map[string]int{"packets": 0, "tcp_streams": 0, "syn_refused": 0, "syn_noreply": 0, "synack_noack": 0}
	for col := range oracleColumns {
		got[col] = 0
	}
	st, _ := parsertest.Force(t, pcap.Parser(), "x.pcap", content)
	for _, c := range parsertest.All[fact.Capture](st) {
		got["packets"] += int(c.Packets)
	}
	one := map[bool]int{true: 1}
	for _, f := range records(st) {
		if f.Proto != "tcp" {
			continue
		}
		got["tcp_streams"]++
		got["syn_refused"] += one[f.Refused]
		got["syn_noreply"] += one[f.SynUnanswered]
		got["synack_noack"] += one[f.SynAckUnacked]
		for col, field := range oracleColumns {
			got[col] += int(reflect.ValueOf(f.Counts).FieldByName(field).Int())
		}
	}
	return got
}

func inflate(t *testing.T, content []byte) []byte {
	t.Helper()
	if !bytes.HasPrefix(content, []byte("\x1f\x8b")) {
		return content
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	require.NoError(t, err)
	out, err := io.ReadAll(z)
	require.NoError(t, err)
	return out
}

// TestCorpusExcerpts renders every first frame of the corpus: no capture may break
// the excerpts.
func TestCorpusExcerpts(t *testing.T) {
	if testing.Short() {
		t.Skip("reads two thousand files")
	}
	files, _ := filepath.Glob("../../../shared/corpora/pcap/tcpdump/tests/*.pcap")
	if len(files) == 0 {
		t.Skip("the corpus is not there")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		parsertest.Force(t, pcap.Parser(), filepath.Base(file), content)
	}
}

package applog_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/analyzetest"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/applog/internal/chatter"
	"github.com/culprit-dev/culprit/parsers/gdb"
	"github.com/culprit-dev/culprit/parsers/goroutine"
	"github.com/culprit-dev/culprit/parsers/parsertest"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, applog.Parser(), "testdata/*.log") }
func TestFormats(t *testing.T) {
	parsertest.Golden(t, applog.Parser(), "testdata/formats/*")
}
func TestRobust(t *testing.T) { parsertest.Robust(t, applog.Parser(), "testdata/node.log") }
func TestRobustForms(t *testing.T) {
	for _, form := range []string{"cripartial", "composestamp", "dotnet", "jul", "gb_text", "jbytes.json"} {
		t.Run(form, func(t *testing.T) { parsertest.Robust(t, applog.Parser(), "testdata/formats/"+form+".log") })
	}
}
func FuzzParse(f *testing.F) {
	parsertest.Fuzz(f, applog.Parser(), "testdata/*.log", "testdata/formats/*.log")
}

func events(st *fact.Store) []*fact.LogEvent {
	var out []*fact.LogEvent
	for f := range st.Each("log_event") {
		if f.Ref().Artifact != "app.log" {
			continue
		}
		out = append(out, f.(*fact.LogEvent))
	}
	return out
}

// TestRepeats: equal messages are kept up to a bound, and the count is exact.
func TestRepeats(t *testing.T) {
	var b bytes.Buffer
	const n = 30_000
	for i := range n {
		fmt.Fprintf(&b, "2026-03-02T08:15:01.%03dZ ERROR call %d to 10.0.0.9:7301: connection refused\n", i%1000, i)
		fmt.Fprintf(&b, "2026-03-02T08:15:01.%03dZ INFO tick %d\n", i%1000, i)
		if i == n/2 {
			fmt.Fprintf(&b, "2026-03-02T08:15:01.%03dZ ERROR call %d to 10.0.0.9:7302: connection refused\n", i%1000, i)
		}
	}
	st, _ := parsertest.Run(t, applog.Parser(), "app.log", b.Bytes())
	total, other := 0, 0
	list := events(st)
	assert.LessOrEqual(t, len(list), 300)
	for i, e := range list {
		if i > 0 {
			assert.Greater(t, e.At.Line, list[i-1].At.Line, "events stand in the order of the file")
		}
		switch {
		case e.Errno != "ECONNREFUSED":
		case e.Addresses[0] == "10.0.0.9:7302":
			other++
		default:
			total += max(1, e.Repeat)
		}
	}
	assert.Equal(t, n, total)
	assert.Equal(t, 1, other, "another service's error is not lost among the repeats")
	var shapes int64
	for f := range st.Each("log_shape") {
		shapes += f.(*fact.LogShape).Count
	}
	assert.EqualValues(t, 2*n+1, shapes)
}

// TestJobs: however many goroutines read a log of many blocks, it gives the same
// facts.
func TestJobs(t *testing.T) {
	for _, form := range chatter.Forms() {
		t.Run(form, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, chatter.Write(&b, chatter.Options{Form: form, Bytes: 5 << 20}))
			b.WriteString("panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/a.go:3 +0x1\n")
			var want []byte
			for _, jobs := range []int{1, 2, 3, 8} {
				in := analyzetest.Input("app.log", b.Bytes())
				in.Parser = "applog"
				res, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{applog.Parser(), goroutine.Parser()}, Jobs: jobs})
				require.NoError(t, err)
				got := parsertest.Lines(t, res.Store)
				if want == nil {
					want = got
				}
				require.True(t, bytes.Equal(want, got), "%d jobs", jobs)
			}
		})
	}
}

// TestManyShapes: a log whose every line differs stays bounded.
func TestManyShapes(t *testing.T) {
	var b bytes.Buffer
	word := []byte("aaaa")
	for i := range 40_000 {
		for j, k := 0, i; j < 4; j, k = j+1, k/26 {
			word[j] = 'a' + byte(k%26)
		}
		fmt.Fprintf(&b, "2026-03-02T08:15:01Z ERROR user %s failed\n", word)
	}
	st, status := parsertest.Run(t, applog.Parser(), "app.log", b.Bytes())
	assert.LessOrEqual(t, st.Count("log_shape"), 2001)
	assert.LessOrEqual(t, st.Count("log_event"), 62_000)
	assert.NotEmpty(t, status.Issues)
}

// TestDump: goroutines inside a log are an artifact of their own, and what stands
// before and after them stays the log's.
func TestDump(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("2026/03/02 08:15:01 up\nSIGQUIT: quit\nPC=0x1 m=0\n\n")
	for i := range 60_000 {
		fmt.Fprintf(&b, "goroutine %d [select, 3 minutes]:\nmain.loop(0x%x)\n\t/src/a.go:10 +0x1\nmain.run(...)\n\t/src/a.go:20\ncreated by main.main in goroutine 1\n\t/src/a.go:30 +0x2\n\n", i+1, i)
	}
	size := b.Len()
	b.WriteString("2026/03/02 08:15:09 restarted\n")
	st, _ := parsertest.Run(t, applog.Parser(), "app.log", b.Bytes())
	require.Len(t, events(st), 3)
	assert.Equal(t, "SIGQUIT: quit", events(st)[1].Text)
	assert.Equal(t, "restarted", events(st)[2].Text)
	assert.EqualValues(t, size, events(st)[2].At.Offset)
}

// TestPrograms: each program of a collector's log has a dump of its own, with the
// words before it, however the lines are mixed; one that net/http caught says so.
func TestPrograms(t *testing.T) {
	crash := func(id int) []string {
		return []string{
			fmt.Sprintf("2026/03/02 08:15:0%d listening", id), fmt.Sprintf("panic: boom %d", id), "", fmt.Sprintf("goroutine %d [running]:", id), "main.main()", "\t/src/a.go:3 +0x1",
			"", fmt.Sprintf("goroutine %d [select]:", id+10), "main.loop()", "\t/src/a.go:9 +0x1",
		}
	}
	caught := []string{"2026/03/02 08:15:01 http: panic serving 10.0.0.9:51000: boom 1", "goroutine 7 [running]:", "main.main()", "\t/src/a.go:3 +0x1"}
	mixed := func(a, b string, x, y []string) string {
		var s strings.Builder
		for i := range max(len(x), len(y)) {
			if i < len(x) {
				fmt.Fprintf(&s, a, x[i])
			}
			if i < len(y) {
				fmt.Fprintf(&s, b, y[i])
			}
		}
		return s.String()
	}
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		"compose": {mixed("shop-1  | %s\n", "bill-1  | %s\n", crash(1), crash(2)), []string{"panic: boom 1 (2)", "panic: boom 2 (2)"}},
		"kubectl": {mixed("[pod/shop-0/app] %s\n", "[pod/bill-0/app] %s\n", crash(1), crash(2)), []string{"panic: boom 1 (2)", "panic: boom 2 (2)"}},
		"syslog":  {mixed("Mar  2 08:15:01 web shop[31]: %s\n", "Mar  2 08:15:01 web bill[32]: %s\n", crash(1), crash(2)), []string{"panic: boom 1 (2)", "panic: boom 2 (2)"}},
		"cri":     {mixed("2026-03-02T08:15:01.1Z stderr F %s\n", "2026-03-02T08:15:01.2Z stdout F %s\n", crash(1), crash(2)), []string{"panic: boom 1 (2)", "panic: boom 2 (2)"}},
		"docker":  {mixed(`{"log":%q,"stream":"stderr","time":"2026-03-02T08:15:01.1Z"}`+"\n", `{"log":%q,"stream":"stdout","time":"2026-03-02T08:15:01.1Z"}`+"\n", crash(1), crash(2)), []string{"panic: boom 1 (2)", "panic: boom 2 (2)"}},
		"caught":  {strings.Join(caught, "\n") + "\n2026/03/02 08:15:02 goes on\n", []string{"http: panic serving 10.0.0.9:51000: boom 1 (1)"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := analyzetest.Input("app.log", []byte(c.log))
			in.Parser = "applog"
			got, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Parsers: []*analyze.Parser{applog.Parser(), goroutine.Parser()}})
			require.NoError(t, err)
			var dumps []string
			for _, d := range parsertest.All[fact.Dump](got.Store) {
				dumps = append(dumps, fmt.Sprintf("%s (%d)", d.Cause, d.Goroutines))
			}
			assert.ElementsMatch(t, c.want, dumps)
		})
	}
}

// TestHole: a hole longer than a block is one line.
func TestHole(t *testing.T) {
	log := append([]byte("2026-03-02T08:15:01Z ERROR one\n"), make([]byte, 35<<20)...)
	log = append(log, "2026-03-02T08:15:02Z ERROR two\n2026-03-02T08:15:03Z ERROR three\n"...)
	st, status := parsertest.Run(t, applog.Parser(), "app.log", log)
	var lines []int
	for _, e := range events(st) {
		lines = append(lines, e.At.Line)
	}
	assert.Equal(t, []int{1, 2, 3}, lines)
	assert.Contains(t, strings.Join(status.Issues, " "), "holes of NULs")
}

// TestEnds: the words with which a runtime or a shell reports the end of a process
// mean it behind any stamp, and not where they are about something else.
func TestEnds(t *testing.T) {
	for text, want := range map[string][]string{
		"Fatal Python error: Segmentation fault": {"error", "stop"},
		"Segmentation fault":                     {"error", "stop"},
		"Aborted":                                {"error", "stop"},
		"run.sh: line 4: 4711 Aborted (core dumped) ./importer":   {"error", "stop"},
		"worker 3: Segmentation fault (core dumped)":              {"error", "stop"},
		"upload of 7 parts aborted by the client, 3 parts remain": {"stop"},
		"core loaded": nil,
	} {
		log := "2026-03-02T08:15:00Z begin\n2026-03-02T08:15:01Z " + text + "\n2026-03-02T08:15:02Z end\n"
		st, _ := parsertest.Run(t, applog.Parser(), "app.log", []byte(log))
		var got []string
		for _, e := range events(st) {
			if e.At.Line == 2 {
				got = e.Signs
			}
		}
		for _, sign := range want {
			assert.Contains(t, got, sign, text)
		}
		if len(want) < 2 {
			assert.NotContains(t, got, "error", text)
		}
	}
}

// A sosreport holds thousands of files that are about logs, or in which something
// looks like a stamp.
func TestSniff(t *testing.T) {
	for _, c := range []struct {
		path, text string
		log        bool
	}{
		{"logs/app.log.3", "server ready\n", true},
		{"gc_log.txt", "pause 12\n", true},
		{"journalctl.txt", "-- No entries --\n", true},
		{"proc/sys/net/ipv4/tcp_backlog_ack_defer", "1\n", false},
		{"sos/etc/systemd/logind.conf", "[Login]\n#NAutoVTs=6\n", false},
		{"usr/lib/systemd/system/rsyslog.service", "[Unit]\nDescription=x\n", false},
		{"sys/route/max_size", "2147483647\n", false},
		{"proc/1/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n23 27 0:22 / /sys rw,relatime - sysfs sysfs rw\n", false},
		{"ip_neigh", "0.0.0.0 dev lo lladdr 00:00:00:00:00:00 NOARP\n10.0.0.1 dev eth0 lladdr 02:42:ac:11:00:02 REACHABLE\n", false},
		{"console", "12:01:07 listening\n12:01:09 ready\n", true},
	} {
		m := applog.Parser().Sniff(analyze.Head{Path: c.path, Bytes: []byte(c.text), Size: int64(len(c.text))})
		require.Equal(t, c.log, m > analyze.No, c.path)
	}
}

// TestThreadDumpsInLogs: each dump of a JVM in a log becomes an artifact of its
// own, as two samples of one process.
func TestThreadDumpsInLogs(t *testing.T) {
	dump := "2026-11-21 06:42:14\nFull thread dump OpenJDK 64-Bit Server VM (17.0.15 mixed mode, sharing):\n\n" +
		"\"orders\" #12 prio=5 os_prio=0 tid=0x00007f97 nid=0x43e7 runnable  [0x00007f97dc6f0000]\n   java.lang.Thread.State: RUNNABLE\n" +
		"\tat shop.Orders.take(Orders.java:12)\n\nJNI global refs: 12, weak refs: 0\n\n"
	var log strings.Builder
	for i := range 20 {
		fmt.Fprintf(&log, "2026-11-21 06:42:%02d.123  INFO 812 --- [main] shop.Shop : request %d ok\n", i, i)
		if i == 8 || i == 14 {
			log.WriteString(dump)
		}
	}
	for _, prefix := range []string{"", "2026-11-21T06:42:14.1Z stdout F ", "Nov 21 06:42:14 web-1 java[812]: "} {
		content := strings.ReplaceAll("\n"+strings.TrimSuffix(log.String(), "\n"), "\n", "\n"+prefix)[1:]
		in := &analyze.Input{Path: "shop.log", Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
		got, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Jobs: 1, Parsers: []*analyze.Parser{applog.Parser(), gdb.Parser()}})
		require.NoError(t, err)
		var from []fact.ID
		for f := range got.Store.Each("thread") {
			from = append(from, f.Ref().Artifact)
		}
		require.Equal(t, []fact.ID{"shop.log!wrapped-threads", "shop.log!wrapped-threads2"}, from, prefix)
	}
}

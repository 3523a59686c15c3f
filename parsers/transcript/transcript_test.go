package transcript_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/parsers/applog"
	"github.com/culprit-dev/culprit/parsers/hostinfo"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/ps"
	"github.com/culprit-dev/culprit/parsers/sockets"
	"github.com/culprit-dev/culprit/parsers/transcript"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, transcript.Parser(), "testdata/*.txt") }

func TestRobust(t *testing.T) { parsertest.Robust(t, transcript.Parser(), "testdata/prompt.txt") }

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, transcript.Parser(), "testdata/*.txt") }

const (
	date  = "Sat Nov 21 02:44:13 UTC 2026\n"
	socks = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\nESTAB 0 0 10.0.0.5:80 10.0.0.9:51000 users:((\"nginx\",pid=812,fd=9))\n"
	procs = "UID          PID    PPID  C STIME TTY          TIME CMD\nroot           1       0  0 01:53 ?        00:00:45 /sbin/init\n"
)

// TestSections: however the commands are marked, each output is read by the parser
// of its format.
func TestSections(t *testing.T) {
	for name, mark := range map[string]string{
		"dollar": "$ %\n", "prompt": "ops@web-1:~$ %\n", "root": "[root@web-1 ~]# %\n", "traced": "+ %\n", "hashed": "### %\n",
		"ruled": "===== % =====\n", "dashed": "--- % ---\n", "crlf": "$ %\r\n", "hash": "# %\n", "head": "==> /tmp/%.txt <==\n", "pasted": "",
	} {
		var text strings.Builder
		for _, c := range [][2]string{{"date", date}, {"ss -tanp", socks}, {"ps -ef", procs}} {
			text.WriteString(strings.ReplaceAll(mark, "%", c[0]) + c[1] + "\n")
		}
		got := read(t, text.String())
		require.Len(t, got.Artifacts, 4, name)
		for i, want := range []string{"transcript", "hostinfo", "ps", "sockets"} {
			require.Equal(t, want, got.Artifacts[i].Parser, "%s: %s", name, got.Artifacts[i].Path)
		}
		require.Equal(t, 1, got.Store.Count("socket"))
		require.Equal(t, 1, got.Store.Count("process"))
	}
}

// read reads a text with the parsers of what stands in it.
func read(t *testing.T, content string) *analyze.Facts {
	t.Helper()
	in := &analyze.Input{Path: "all.txt", Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
	got, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Jobs: 1, Parsers: []*analyze.Parser{
		applog.Parser(), hostinfo.Parser(), ps.Parser(), sockets.Parser(), transcript.Parser()}})
	require.NoError(t, err)
	return got
}

// TestPasted: what belongs to one parser stays together, wherever in the file the
// next heading comes.
func TestPasted(t *testing.T) {
	row := strings.Split(socks, "\n")[1] + "\n"
	long := socks + strings.Repeat(row, 400)
	log := "2026-11-21T02:44:13Z INFO started\n2026-11-21T02:44:14Z WARN slow\n"
	for _, c := range []struct {
		name, text string
		artifacts  []string
		sockets    int
	}{
		{"one tool", socks + "\n" + socks, []string{"all.txt"}, 2},
		{"loop", date + socks + date + socks, []string{"all.txt", "all.txt!date", "all.txt!ss"}, 2},
		{"loop of two", date + socks + procs + date + socks + procs, []string{"all.txt", "all.txt!date", "all.txt!date (2)", "all.txt!ps", "all.txt!ps (2)", "all.txt!ss", "all.txt!ss (2)"}, 2},
		{"far below", long + procs, []string{"all.txt", "all.txt!ps", "all.txt!ss"}, 401},
		{"alone and long", long, []string{"all.txt"}, 401},
		{"host's name first", "web-1\n" + socks + procs, []string{"all.txt", "all.txt!ps", "all.txt!ss"}, 1},
		{"log behind", procs + log, []string{"all.txt", "all.txt!log", "all.txt!ps"}, 0},
		{"dates in a table", "  PID  PPID                  STARTED CMD\n    1     0 Sat Nov 21 01:53:36 2026 init\n 2026     1 Sat Nov 21 01:53:36 2026 [x]\n", []string{"all.txt"}, 0},
		{"names before them", "USER       PID                  STARTED CMD\nroot         1 Sat Nov 21 01:53:36 2026 init\n", []string{"all.txt"}, 0},
		{"date in a log", date + log + date + log, []string{"all.txt"}, 0},
		{"table in a log", log + procs + log, []string{"all.txt"}, 0},
	} {
		got := read(t, c.text)
		var names []string
		for _, a := range got.Artifacts {
			names = append(names, a.Path)
		}
		require.Equal(t, c.artifacts, names, c.name)
		require.Equal(t, c.sockets, got.Store.Count("socket"), c.name)
	}
}

// TestNotMine: text with marks that are no commands, and recordings.
func TestNotMine(t *testing.T) {
	for _, text := range []string{
		"## Heading\ntext\n### Another\nmore\n", "--- a/file.go\n+++ b/file.go\n@@ -1 +1 @@\n- cat\n+ cat\n",
		"$ make\nok\n$ ./run\nok\n", "Script started on 2026-11-21\n$ ss -tan\n$ date\n", strings.Repeat("log line 1\n", 10) + "$ date\nx\n$ ss\ny\n",
		"#!/bin/sh\n# date is printed\nss -tan\n", "# env of the service\n# find the nodes below\nnodes:\n  - 10.0.0.5\n",
	} {
		_, status := parsertest.Run(t, transcript.Parser(), "notes.txt", []byte(text))
		require.Equal(t, "unclaimed", status.Status, text)
	}
}

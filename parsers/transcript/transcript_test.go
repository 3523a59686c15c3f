package transcript_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
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
		"ruled": "===== % =====\n", "dashed": "--- % ---\n", "crlf": "$ %\r\n", "hash": "# %\n", "head": "==> /tmp/%.txt <==\n",
	} {
		var text strings.Builder
		for _, c := range [][2]string{{"date", date}, {"ss -tanp", socks}, {"ps -ef", procs}} {
			text.WriteString(strings.ReplaceAll(mark, "%", c[0]) + c[1] + "\n")
		}
		content := text.String()
		in := &analyze.Input{Path: "all.txt", Size: int64(len(content)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
		got, err := analyze.Read(t.Context(), []*analyze.Input{in}, analyze.Config{Jobs: 1, Parsers: []*analyze.Parser{
			hostinfo.Parser(), ps.Parser(), sockets.Parser(), transcript.Parser()}})
		require.NoError(t, err)
		require.Len(t, got.Artifacts, 4, name)
		for i, want := range []string{"transcript", "hostinfo", "ps", "sockets"} {
			require.Equal(t, want, got.Artifacts[i].Parser, "%s: %s", name, got.Artifacts[i].Path)
		}
		require.Equal(t, 1, got.Store.Count("socket"))
		require.Equal(t, 1, got.Store.Count("process"))
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

package sockets_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/sockets"
)

func TestGolden(t *testing.T) { parsertest.Golden(t, sockets.Parser(), "testdata/*.txt") }

func TestRobust(t *testing.T) {
	for _, f := range []string{"ss_tanpoemi.txt", "netstat_anp.txt", "macos.txt", "windows_aonb.txt", "proc_net.txt"} {
		t.Run(f, func(t *testing.T) { parsertest.Robust(t, sockets.Parser(), "testdata/"+f) })
	}
}

func FuzzParse(f *testing.F) { parsertest.Fuzz(f, sockets.Parser(), "testdata/*.txt") }

// TestTable is about what a table as a whole can say, which the goldens hide
// among other lines.
func TestTable(t *testing.T) {
	table := func(path, content string) fact.SocketTable {
		t.Helper()
		st, _ := parsertest.Run(t, sockets.Parser(), path, []byte(content))
		all := parsertest.All[fact.SocketTable](st)
		require.Len(t, all, 1)
		return all[0]
	}
	const head = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n"
	const row = "ESTAB 0 0 127.0.0.1:80 127.0.0.1:4711 "

	got := table("ss_tan.txt", head+row+"\n")
	require.False(t, got.HasTimers, "without -o or -e nothing is known of timers")
	require.True(t, got.HasListeners, "-a shows listeners, also where there are none")

	got = table("ss.txt", head+row+"uid:1 ino:5 sk:1 <->\n")
	require.True(t, got.HasTimers, "-e implies -o: a row without a timer has none")
	require.False(t, got.HasListeners)

	got = table("ss.txt", head+row+"timer:(keepalive,10sec,0)\n")
	require.True(t, got.HasTimers)

	got = table("ss.txt", head+"ESTAB 0 0 localhost:http localhost:4711\n")
	require.False(t, got.Numeric)

	got = table("ss.txt", "Recv-Q Send-Q Local Address:Port Peer Address:Port\n0 0 127.0.0.1:80 127.0.0.1:4711\n")
	require.Equal(t, "one state", got.Filter)
}

// TestTimer covers the forms of ss, with the unit that old versions get wrong.
func TestTimer(t *testing.T) {
	for text, want := range map[string]float64{
		"119min": 7140000, "1min38sec": 98000, "35sec": 35000, "224ms": 224, "004ms": 4,
		"5.352ms": 5352, "9.151ms": 9151, "5.352sec": 5352, "": 0,
	} {
		st, _ := parsertest.Run(t, sockets.Parser(), "ss.txt", []byte("State Recv-Q Send-Q Local Address:Port Peer Address:Port\n"+
			"ESTAB 0 0 127.0.0.1:80 127.0.0.1:4711 timer:(on,"+text+",3)\n"))
		all := parsertest.All[fact.Socket](st)
		require.Len(t, all, 1)
		require.NotNil(t, all[0].Timer, text)
		require.InDelta(t, want, all[0].Timer.ExpiresMS.V, 0.01, text)
		require.Equal(t, 3, all[0].Timer.Retrans)
	}
}

// TestNotMine: text that only resembles a table.
func TestNotMine(t *testing.T) {
	for _, text := range []string{
		"tcp is a protocol\nudp is another\n",
		"2026-11-21 00:00:01 INFO listening on 0.0.0.0:80\n2026-11-21 00:00:02 INFO ok\n",
		"Kernel IP routing table\nDestination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n",
		"Ip:\n    5 forwarded\nTcp:\n    3 active connection openings\n",
		strings.Repeat("0 0 0 0\n", 20),
	} {
		_, status := parsertest.Run(t, sockets.Parser(), "x.txt", []byte(text))
		require.Equal(t, "unclaimed", status.Status, text)
	}
}

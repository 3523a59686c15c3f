package join

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// fullTable adds a table with its rows between header and last row.
func (w *world) fullTable(id fact.ID, change func(*fact.SocketTable), rows func()) {
	m := fact.SocketTable{At: w.at(id), Tool: "ss", HasConnections: true, Numeric: true}
	change(&m)
	rows()
	m.Last = fact.Ref{Artifact: id, Line: w.line}
	fact.Add(&w.shard, m)
}

func TestSocketsAreCountedInOneTable(t *testing.T) {
	var w world
	w.fullTable("netstat_an.txt", func(m *fact.SocketTable) { m.Tool, m.HasListeners = "netstat", true }, func() {
		w.socket("netstat_an.txt", fact.StateListen, "127.0.0.1", "80", "0.0.0.0", "*", 0)
		w.socket("netstat_an.txt", fact.StateCloseWait, "127.0.0.1", "80", "127.0.0.1", "50001", 0)
	})
	w.fullTable("lsof_7.txt", func(m *fact.SocketTable) {
		m.Tool, m.Filter, m.HasOwners, m.HasListeners = "lsof", FilterLsof, true, true
	}, func() {
		w.socket("lsof_7.txt", fact.StateListen, "*", "80", "*", "*", 7)
		w.socket("lsof_7.txt", fact.StateCloseWait, "127.0.0.1", "80", "127.0.0.1", "50001", 7)
		w.socket("lsof_7.txt", fact.StateCloseWait, "127.0.0.1", "80", "127.0.0.1", "50002", 7)
	})
	s := derive(&w, &sockets)
	table := s.Showing("", fact.StateCloseWait)
	require.Equal(t, fact.ID("netstat_an.txt"), table.Meta.At.Artifact, "lsof serves only where nothing else does")
	shown := s.Shown(table)
	require.Len(t, shown, 2, "the connection that only lsof saw is another moment's")
	require.Equal(t, 7, shown[1].Owner().PID, "lsof names the owner of what netstat shows")
	require.False(t, s.ClientSide(shown[1]))
	listeners, ok := s.CompleteListeners("")
	require.True(t, ok)
	require.Equal(t, fact.ID("netstat_an.txt"), listeners.Artifact)
}

func TestFilteredTableShowsItsStateOnly(t *testing.T) {
	var w world
	w.fullTable("ss_close-wait.txt", func(m *fact.SocketTable) { m.Filter = fact.StateCloseWait }, func() {
		w.socket("ss_close-wait.txt", fact.StateCloseWait, "10.0.0.1", "80", "10.0.0.2", "50001", 0)
	})
	s := derive(&w, &sockets)
	require.NotNil(t, s.Showing("", fact.StateCloseWait))
	require.Nil(t, s.Showing("", fact.StateEstablished))
}

func TestClientSideWithoutListeners(t *testing.T) {
	var w world
	w.fullTable("netstat.txt", func(*fact.SocketTable) {}, func() {
		w.socket("netstat.txt", fact.StateEstablished, "10.0.0.1", "41000", "10.0.0.9", "5432", 0)
		w.socket("netstat.txt", fact.StateEstablished, "10.0.0.1", "8080", "10.0.0.7", "51000", 0)
	})
	s := derive(&w, &sockets)
	sides := map[uint16]bool{}
	for _, k := range s.All {
		sides[k.Local.Port()] = s.ClientSide(k)
	}
	require.Equal(t, map[uint16]bool{41000: true, 8080: false}, sides)
}

func TestNamesAddress(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:6379")
	for command, want := range map[string]bool{
		"node catalog.js 127.0.0.1 6379 110":         true,
		"app --cache=127.0.0.1:6379":                 true,
		"app --cache redis://localhost:6379/0":       true,
		"app postgres://u@127.0.0.1:6379/db":         true,
		"node catalog.js 127.0.0.1 6380":             false,
		"node catalog.js 127.0.0.1 listen 6379":      false,
		"node catalog.js 10.127.0.0.1:6379":          false,
		"node catalog.js 127.0.0.1:63790":            false,
		"node /srv/6379/catalog.js --port 127.0.0.1": false,
	} {
		require.Equal(t, want, NamesAddress(command, at), command)
	}
}

func TestOpenerOfAnAddress(t *testing.T) {
	at := netip.MustParseAddrPort("127.0.0.1:9100")
	var w world
	w.ps("ps.txt", 10, 1, "node store.js 127.0.0.1 9100")
	w.ps("ps.txt", 11, 1, "node proxy.js 10.0.0.1 8443 127.0.0.1 9100")
	w.fullTable("netstat.txt", func(m *fact.SocketTable) { m.HasListeners = true }, func() {
		w.socket("netstat.txt", fact.StateListen, "127.0.0.1", "9100", "0.0.0.0", "*", 0)
		w.socket("netstat.txt", fact.StateListen, "10.0.0.1", "8443", "0.0.0.0", "*", 0)
		w.socket("netstat.txt", fact.StateEstablished, "127.0.0.1", "41000", "127.0.0.1", "9100", 0)
	})
	o, ok := derive(&w, &openers).Of("", at)
	require.True(t, ok)
	require.Equal(t, 11, o.Process.PID, "the proxy names an address of its own as well")
	require.Equal(t, analyze.Possible, o.Link.Sure)

	w.fullTable("ss.txt", func(m *fact.SocketTable) { m.HasOwners = true }, func() {
		w.socket("ss.txt", fact.StateEstablished, "127.0.0.1", "41000", "127.0.0.1", "9100", 12)
	})
	o, ok = derive(&w, &openers).Of("", at)
	require.True(t, ok)
	require.Equal(t, 12, o.Process.PID, "who owns a connection opened it")
	require.Equal(t, analyze.Confirmed, o.Link.Sure)
}

func TestViewsOfNamespaces(t *testing.T) {
	var w world
	same := func(id fact.ID) {
		w.fullTable(id, func(*fact.SocketTable) {}, func() {
			w.socket(id, fact.StateCloseWait, "127.0.0.1", "80", "127.0.0.1", "50001", 0)
			w.socket(id, fact.StateCloseWait, "127.0.0.1", "80", "127.0.0.1", "50002", 0)
		})
	}
	same("ss_tan.txt")
	same("netstat_tan.txt")
	w.fullTable("ss_netns_blue.txt", func(*fact.SocketTable) {}, func() {
		w.socket("ss_netns_blue.txt", fact.StateCloseWait, "10.0.0.1", "81", "10.0.0.2", "50001", 0)
	})
	views := derive(&w, &sockets).Views("", fact.StateCloseWait)
	require.Len(t, views, 2, "two tables of the same sockets are one view, another namespace is another")
}

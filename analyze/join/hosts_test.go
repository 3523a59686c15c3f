package join

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// services fills a process table with three daemons of a kind.
func (w *world) services(id fact.ID, first int, command string) {
	for i := range 3 {
		w.ps(id, first+i, 1, command)
	}
}

// parsed sets what read the artifacts, which names alone do not say.
func (w *world) parsed(parsers map[fact.ID]string) {
	for i, a := range w.list {
		w.list[i].Parser = parsers[a.ID]
		if parsers[a.ID] == "ps" {
			w.list[i].Kinds = []fact.Kind{"process"}
		}
	}
}

func TestClonesOfOneNameAreHosts(t *testing.T) {
	var w world
	w.hostname("a/uname.txt", "app-01")
	w.hostname("b/uname.txt", "app-01")
	w.services("a/ps.txt", 100, "nginx")
	w.services("b/ps.txt", 500, "mysqld")
	h := derive(&w, &hosts)
	require.Equal(t, []string{"a", "b"}, h.Names)
	_, ok := h.Named("app-01")
	require.False(t, ok, "a name of two hosts tells of neither")
}

func TestOneHostBeforeAndAfterItsRestart(t *testing.T) {
	var w world
	w.hostname("before/uname.txt", "app-01")
	w.hostname("after/uname.txt", "app-01")
	w.services("before/ps.txt", 100, "nginx")
	w.services("after/ps.txt", 500, "nginx")
	require.Equal(t, []string{""}, derive(&w, &hosts).Names)
}

func TestNamesOfFilesTellHostsApart(t *testing.T) {
	for name, files := range map[string][2][2]fact.ID{
		"before the name": {{"web-1_ps.txt", "web-1_ss.txt"}, {"db_ps.txt", "db_ss.txt"}},
		"after the name":  {{"x/ps.web1.txt", "x/ss.web1.txt"}, {"x/ps.db.txt", "x/ss.db.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			var w world
			parsers := map[fact.ID]string{}
			for i, host := range files {
				w.services(host[0], 100+i*300, []string{"nginx", "mysqld"}[i])
				w.table(host[1])
				parsers[host[0]], parsers[host[1]] = "ps", "sockets"
			}
			w.parsed(parsers)
			h := derive(&w, &hosts)
			require.Len(t, h.Names, 2)
			for i := range files {
				require.Equal(t, h.OfArtifact(files[i][0]), h.OfArtifact(files[i][1]))
			}
		})
	}
}

func TestSamplesAreNoHosts(t *testing.T) {
	for name, files := range map[string][4]fact.ID{
		"numbers": {"ps_1.txt", "ss_1.txt", "ps_2.txt", "ss_2.txt"},
		"stages":  {"before-ps.txt", "before-ss.txt", "after-ps.txt", "after-ss.txt"},
		"options": {"ps_aux.txt", "ps_ef.txt", "ss_aux.txt", "ss_ef.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			var w world
			parsers := map[fact.ID]string{}
			for i, id := range files {
				if id[:2] == "ps" || id[len(id)-6:] == "ps.txt" {
					first := 100
					if name != "options" { // one moment, twice
						first += i
					}
					w.services(id, first*10, "nginx")
					parsers[id] = "ps"
					continue
				}
				w.table(id)
				parsers[id] = "sockets"
			}
			w.parsed(parsers)
			require.Equal(t, []string{""}, derive(&w, &hosts).Names)
		})
	}
}

func TestTablesOfAnotherSystemEndNobody(t *testing.T) {
	var w world
	table := func(id fact.ID) {
		fact.Add(&w.shard, fact.ProcessTable{At: w.at(id), Tool: "ps", All: true, Rows: 4})
	}
	for _, id := range []fact.ID{"ps_1.txt", "ps_2.txt"} {
		table(id)
		w.ps(id, 1, 0, "init")
		w.services(id, 100, "nginx")
	}
	w.ps("ps_1.txt", 110, 1, "worker")
	table("ps_other.txt")
	w.ps("ps_other.txt", 1, 0, "init")
	w.services("ps_other.txt", 900, "mysqld")
	ps := derive(&w, &processes)
	require.False(t, ps.Get("", 100).Gone, "the last table with its like still has it")
	require.True(t, ps.Get("", 110).Gone)
	require.False(t, ps.Get("", 900).Gone)
}

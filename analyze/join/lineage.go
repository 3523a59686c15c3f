package join

import "github.com/culprit-dev/culprit/analyze/fact"

// lineages groups process tables that can be compared: tables of one host and one
// boot have processes in common, under the same pids. What a table of another host,
// container or boot lacks has not ended, even where nothing names the hosts.
type lineages struct{ of map[fact.ID]fact.ID }

// fewRows is the size of a table that need not have more than pid 1 in common with
// another of its system.
const fewRows = 3

func buildLineages(all []*Process) *lineages {
	l := &lineages{of: map[fact.ID]fact.ID{}}
	rows := map[fact.ID]int{}
	for _, pr := range all {
		for _, row := range pr.Rows {
			if !row.Kernel {
				rows[row.At.Artifact]++
			}
		}
	}
	for _, pr := range all {
		for _, row := range pr.Rows {
			a, b := row.At.Artifact, pr.Rows[0].At.Artifact
			if a == b || row.Kernel || row.Command != pr.Rows[0].Command {
				continue
			}
			if pr.PID != 1 || min(rows[a], rows[b]) <= fewRows {
				l.of[l.root(a)] = l.root(b)
			}
		}
	}
	return l
}

func (l *lineages) root(id fact.ID) fact.ID {
	for {
		up, ok := l.of[id]
		if !ok || up == id {
			return id
		}
		id = up
	}
}

// holds reports whether a table can be compared with one that a process stands in.
func (l *lineages) holds(table fact.ID, pr *Process) bool {
	for _, row := range pr.Rows {
		if l.root(row.At.Artifact) == l.root(table) {
			return true
		}
	}
	return false
}

package ps_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/parsertest"
	"github.com/culprit-dev/culprit/parsers/ps"
)

// TestFormatsAgree reads the process table of real hosts in five formats, taken
// one after the other: whoever stands in two of them has the same parent in both.
func TestFormatsAgree(t *testing.T) {
	hosts, _ := filepath.Glob("../../../shared/corpora/hosts/*/sos_commands/process")
	if len(hosts) == 0 {
		t.Skip("no corpus of hosts beside the repository")
	}
	for _, dir := range hosts {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(dir))), func(t *testing.T) {
			files, _ := filepath.Glob(dir + "/ps*")
			tables := map[string]map[int]int64{}
			for _, f := range files {
				if strings.HasSuffix(f, "ps_auxwwwm") {
					continue // it prints no parents
				}
				tables[filepath.Base(f)] = parents(t, f)
			}
			compareParents(t, tables)
		})
	}
}

// parents reads the parent of each process of a file.
func parents(t *testing.T, file string) map[int]int64 {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	st, status := parsertest.Run(t, ps.Parser(), filepath.Base(file), content)
	if status.Parser != "ps" || status.Skipped > 0 {
		t.Errorf("%s: parser %q, %d records skipped: %v", file, status.Parser, status.Skipped, status.Issues)
	}
	out := map[int]int64{}
	for p := range fact.All[fact.Process](st.View("test", "process")) {
		if !p.Thread && p.PPID.Known {
			out[p.PID] = p.PPID.V
		}
	}
	return out
}

func compareParents(t *testing.T, tables map[string]map[int]int64) {
	t.Helper()
	for a, ta := range tables {
		for b, tb := range tables {
			if a >= b {
				continue
			}
			same, differ := 0, 0
			for pid, parent := range ta {
				other, ok := tb[pid]
				switch {
				case !ok:
				case other == parent:
					same++
				default:
					if differ++; differ < 4 {
						t.Errorf("pid %d: parent %d in %s, %d in %s", pid, parent, a, other, b)
					}
				}
			}
			// pstree shows no kernel threads.
			if same < 20 {
				t.Errorf("%s and %s share only %d processes", a, b, same)
			}
		}
	}
}

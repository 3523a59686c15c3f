package parsers_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze/fact"
)

const jcFixtures = "../../shared/corpora/jc/tests/fixtures"

// TestJC compares our reading of other people's files with the independent one that
// jc's authors keep beside them, in every field that both have. Where theirs is
// wrong, testdata/corpus-errata.md says so, file and field, and the test demands
// that it is indeed different there.
func TestJC(t *testing.T) {
	if _, err := os.Stat(jcFixtures); err != nil {
		t.Skip("no corpus of jc beside the repository")
	}
	errata := readErrata(t)
	compared := 0
	err := filepath.WalkDir(jcFixtures, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(file, ".json") {
			return err
		}
		rows, ok := theirs(t, strings.TrimSuffix(file, ".out")+".json")
		name, _ := filepath.Rel(jcFixtures, file)
		kind := jcKind(name)
		if !ok || kind == "" {
			return nil
		}
		compared++
		t.Run(name, func(t *testing.T) { compareJC(t, name, file, kind, rows, errata) })
		return nil
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, compared, 50, "files compared")
	for field, met := range errata {
		if !met {
			t.Errorf("corpus-errata.md names %s, which agrees or does not exist", field)
		}
	}
}

// jcKind is the kind of fact that a fixture's rows are, "" for tools whose rows
// become no facts of their own.
func jcKind(name string) fact.Kind {
	base := strings.TrimSuffix(filepath.Base(name), ".out")
	switch {
	case strings.HasPrefix(base, "netstat-r"), strings.HasPrefix(base, "netstat-i"):
		return "" // routes, and counters per interface
	case strings.HasPrefix(base, "netstat"), strings.HasPrefix(base, "ss-"), base == "net_tcp", base == "net_tcp6", base == "net_unix":
		return "socket"
	case strings.HasPrefix(base, "ps-"), strings.HasPrefix(base, "pidstat"), base == "pid_stat", base == "pid_status":
		return "process"
	case strings.HasPrefix(base, "lsof"):
		return "open_file"
	case base == "meminfo":
		return "counter"
	}
	return ""
}

// theirs are the rows of a fixture's expectation.
func theirs(t *testing.T, file string) ([]map[string]any, bool) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, false
	}
	var rows []map[string]any
	if json.Unmarshal(content, &rows) != nil {
		var one map[string]any
		require.NoError(t, json.Unmarshal(content, &one), file)
		rows = append(rows, one)
	}
	return rows, true
}

func compareJC(t *testing.T, name, file string, kind fact.Kind, rows []map[string]any, errata map[string]bool) {
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	got := readOne(t, filepath.Base(name), content)
	var ours []map[string]string
	for f := range got.Store.Each(kind) {
		ours = append(ours, ourFields(f)...)
	}
	var want []map[string]string
	for _, r := range rows {
		want = append(want, theirFields(filepath.Base(name), kind, r)...)
	}
	if kind == "counter" {
		ours = inNameOrder(ours, want)
	}
	require.Len(t, ours, len(want), "rows")
	wrong := map[string]int{}
	for i, w := range want {
		for field, value := range w {
			if have, ok := ours[i][field]; ok && have != value || !ok && value != "" {
				key := name + " " + field
				if _, known := errata[key]; known {
					errata[key] = true
					continue
				}
				if wrong[field]++; wrong[field] < 4 {
					t.Errorf("row %d %s: theirs %q, ours %q", i+1, field, value, have)
				}
			}
		}
	}
}

func inNameOrder(ours, want []map[string]string) []map[string]string {
	byName := map[string]map[string]string{}
	for _, o := range ours {
		byName[o["name"]] = o
	}
	var out []map[string]string
	for _, w := range want {
		out = append(out, byName[w["name"]])
	}
	return out
}

// readErrata reads the rows of the table: "| file | field | ... |". The test sets
// those to true that it meets.
func readErrata(t *testing.T) map[string]bool {
	content, err := os.ReadFile("../testdata/corpus-errata.md")
	require.NoError(t, err)
	out := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(line, "|")
		if len(cells) > 4 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			out[strings.Trim(cells[1], " `")+" "+strings.Trim(cells[2], " `")] = false
		}
	}
	return out
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

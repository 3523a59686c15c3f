package parsertest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

const goldenSuffix = ".golden.jsonl"

// Golden parses every file that matches glob and compares status and facts with
// the golden file beside it. There must be at least one file.
func Golden(t *testing.T, p *analyze.Parser, glob string) {
	for _, file := range match(t, glob) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			st, status := Run(t, p, filepath.Base(file), content)
			compare(t, file+goldenSuffix, append(JSON(t, status), Lines(t, st)...))
		})
	}
}

// match lists the samples of a glob: its files without golden files.
func match(t testing.TB, glob string) []string {
	t.Helper()
	all, err := filepath.Glob(glob)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range all {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(f, goldenSuffix) {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		t.Fatalf("no file matches %s", glob)
	}
	return out
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v (write it with: go test -run TestGolden -update)", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("facts differ from %s (-want +got):\n%s", golden, diff)
	}
}

// Lines is the facts of a store as JSON Lines, kind by kind: the position first,
// then the fields of the fact.
func Lines(t testing.TB, st *fact.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, k := range st.Kinds() {
		for f := range st.Each(k) {
			b.Write(Line(t, f))
		}
	}
	return b.Bytes()
}

// Line is one fact as a line of JSON.
func Line(t testing.TB, f fact.Fact) []byte {
	t.Helper()
	ref := f.Ref()
	head := JSON(t, struct {
		Kind fact.Kind `json:"kind"`
		fact.Ref
		Len int `json:"len,omitempty"`
	}{f.Kind(), ref, ref.Len})
	body := JSON(t, f)
	if !bytes.HasPrefix(body, []byte("{")) {
		t.Fatalf("a fact of kind %s is not a JSON object: %s", f.Kind(), body)
	}
	if bytes.HasPrefix(body, []byte("{}")) {
		return head
	}
	return fmt.Appendf(nil, "%s,%s", bytes.TrimSuffix(head, []byte("}\n")), body[1:])
}

// JSON is a value as one line of JSON, with its line end.
func JSON(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

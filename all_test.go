// Package culprit_test tests the repository itself: what may import what, what no
// package may use, and that nothing was forgotten.
package culprit_test

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
)

const module = "github.com/culprit-dev/culprit/"

// source is a Go file of the repository.
type source struct {
	path string // with slashes
	dir  string
	text []byte
	file *ast.File
	fset *token.FileSet
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// at is a position in the form of the compiler.
func (s source) at(n ast.Node) string { return s.fset.Position(n.Pos()).String() }

// sources parses all Go files of the module.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == "testdata" || (n != "." && strings.HasPrefix(n, ".")) {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil && p != "." {
				return filepath.SkipDir // a module of its own
			}
			return nil
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		s := source{path: filepath.ToSlash(p), dir: path.Dir(filepath.ToSlash(p)), fset: token.NewFileSet()}
		if s.text, err = os.ReadFile(p); err != nil {
			return err
		}
		s.file, err = parser.ParseFile(s.fset, p, s.text, parser.ParseComments|parser.SkipObjectResolution)
		out = append(out, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// directions says what the packages below a folder may import of this module. The
// first entry that fits a folder counts. Tests may import more.
var directions = []struct {
	below string
	may   []string
}{
	{"analyze/fact", nil},
	{"analyze/internal", nil},
	{"analyze/bundle", []string{"analyze", "analyze/fact"}},
	{"analyze/join/waits", []string{"analyze", "analyze/fact", "analyze/join"}},
	{"analyze/join/threads", []string{"analyze", "analyze/fact", "analyze/join"}},
	{"analyze/join", []string{"analyze", "analyze/fact"}},
	{"analyze/census", []string{"analyze", "analyze/fact", "analyze/join", "analyze/join/waits"}},
	{"analyze/timeline", []string{"analyze", "analyze/fact", "analyze/join"}},
	{"analyze/diff", []string{"analyze", "analyze/fact"}},
	{"analyze/redact", []string{"analyze", "analyze/fact", "analyze/join"}},
	{"analyze/celrule", []string{"analyze", "analyze/fact"}},
	{"analyze/analyzetest", []string{"analyze", "analyze/fact", "analyze/rulecase"}},
	{"analyze/rulecase", []string{"analyze", "analyze/fact", "analyze/census"}},
	{"analyze/rules", []string{"analyze", "analyze/fact", "analyze/join", "analyze/join/...", "analyze/rules/..."}},
	{"analyze", []string{"analyze/fact"}},
	{"parsers", []string{"analyze", "analyze/fact", "parsers/..."}},
	{"report", []string{"analyze", "analyze/fact", "analyze/diff"}},
	{"cmd", []string{"..."}},
	{"examples", []string{"..."}},
	{"testdata", []string{"..."}},
}

func TestImportDirections(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || s.dir == "." {
			continue
		}
		i := slices.IndexFunc(directions, func(d struct {
			below string
			may   []string
		}) bool {
			return s.dir == d.below || strings.HasPrefix(s.dir, d.below+"/")
		})
		if i < 0 {
			t.Errorf("%s: no import direction is written down for this folder", s.path)
			continue
		}
		for _, imp := range s.file.Imports {
			to, ours := strings.CutPrefix(importPath(imp), module)
			if ours && !allowed(s.dir, to, directions[i].may) {
				t.Errorf("%s: %s must not import %s", s.at(imp), s.dir, to)
			}
		}
	}
}

// allowed reports whether a package may import another. Its own subfolders and
// internal packages beside it are always open, as far as Go allows them.
func allowed(from, to string, may []string) bool {
	if base, _, ok := strings.Cut(to, "/internal/"); ok {
		return from == base || strings.HasPrefix(from, base+"/")
	}
	return slices.ContainsFunc(may, func(m string) bool {
		folder, tree := strings.CutSuffix(m, "...")
		return to == m || (tree && strings.HasPrefix(to, folder))
	})
}

func importPath(imp *ast.ImportSpec) string {
	p, _ := strconv.Unquote(imp.Path.Value)
	return p
}

// TestRulesShareOnlyIDs keeps rules independent: one may name another, no more.
func TestRulesShareOnlyIDs(t *testing.T) {
	folders := ruleFolders(t)
	for _, s := range sources(t) {
		if s.isTest() || !strings.HasPrefix(s.dir, "analyze/rules/") {
			continue
		}
		for _, imp := range s.file.Imports {
			to := strings.TrimPrefix(importPath(imp), module+"analyze/rules/")
			if !slices.Contains(folders, to) {
				continue
			}
			name := strings.ReplaceAll(path.Base(to), "-", "")
			if imp.Name != nil {
				name = imp.Name.Name
			}
			eachUse(s.file, name, func(sel *ast.SelectorExpr) {
				if sel.Sel.Name != "ID" {
					t.Errorf("%s: rule %s uses %s.%s; only the ID of another rule is open", s.at(sel), s.dir, to, sel.Sel.Name)
				}
			})
		}
	}
}

func eachUse(file *ast.File, pkg string, do func(*ast.SelectorExpr)) {
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == pkg {
				do(sel)
			}
		}
		return true
	})
}

// forbidden are packages and functions that shipped code does not use, with the
// reason. The program itself (cmd) may read the clock and print.
var forbidden = []struct {
	pkg, name string // name "" is the whole package
	cmdMay    bool
	why       string
}{
	{"github.com/google/gopacket/pcapgo", "", false, "misreads link types and hides truncation: parsers/pcap reads containers itself"},
	{"github.com/google/gopacket", "NewPacket", false, "six times slower than DecodingLayerParser, and panics on hostile packets"},
	{"github.com/google/gopacket", "NewPacketSource", false, "see NewPacket"},
	{"log", "", true, "a library returns, it does not log"},
	{"log/slog", "", true, "a library returns, it does not log"},
	{"flag", "", true, "a library registers no flags"},
	{"os/user", "", false, "the users of the analyst's machine are not those of the incident"},
	{"time", "Now", true, "time comes from artifacts"},
	{"time", "Since", true, "time comes from artifacts"},
	{"time", "Local", false, "the zone of the analyst's machine must not matter"},
	{"os", "Exit", true, "a library returns"},
	{"os", "Getenv", true, "the result must not depend on the environment"},
	{"os", "Hostname", false, "the analyst's host is not part of the incident"},
	{"math/rand", "", false, "the same bundle gives the same bytes"},
	{"math/rand/v2", "", false, "the same bundle gives the same bytes"},
}

func TestForbidden(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || strings.HasPrefix(s.dir, "examples") || strings.HasPrefix(s.dir, "analyze/internal/") ||
			s.dir == "parsers/parsertest" || s.dir == "analyze/analyzetest" {
			continue // not shipped with the program
		}
		inCmd := strings.HasPrefix(s.dir, "cmd/")
		for _, imp := range s.file.Imports {
			for _, f := range forbidden {
				if importPath(imp) != f.pkg || (inCmd && f.cmdMay) {
					continue
				}
				if f.name == "" {
					t.Errorf("%s: %s: %s", s.at(imp), f.pkg, f.why)
					continue
				}
				eachUse(s.file, path.Base(f.pkg), func(sel *ast.SelectorExpr) {
					if sel.Sel.Name == f.name {
						t.Errorf("%s: %s.%s: %s", s.at(sel), path.Base(f.pkg), f.name, f.why)
					}
				})
			}
		}
		for _, d := range s.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: func init: a package does nothing before it is called", s.at(fn))
			}
		}
	}
}

func TestFormatted(t *testing.T) {
	for _, s := range sources(t) {
		if want, err := format.Source(s.text); err != nil || !bytes.Equal(want, s.text) {
			t.Errorf("%s is not formatted: run gofmt -w %s (%v)", s.path, s.path, err)
		}
	}
}

// ruleFolders are the folders below analyze/rules that hold a rule.
func ruleFolders(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, s := range sources(t) {
		if s.isTest() || !strings.HasPrefix(s.dir, "analyze/rules/") || !declares(s.file, "Rule") {
			continue
		}
		out = append(out, strings.TrimPrefix(s.dir, "analyze/rules/"))
	}
	return out
}

func declares(file *ast.File, name string) bool {
	return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
		fn, ok := d.(*ast.FuncDecl)
		return ok && fn.Recv == nil && fn.Name.Name == name
	})
}

// TestEveryRuleIsListed wants each folder in the list, under an ID that is its
// path, with a page that explains it.
func TestEveryRuleIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, r := range rules.All() {
		listed[r.ID] = true
	}
	folders := ruleFolders(t)
	for _, f := range folders {
		if !listed[f] {
			t.Errorf("rule analyze/rules/%s is not in the list under its path: run go generate ./analyze/rules", f)
		}
		page, err := os.ReadFile(filepath.Join("analyze", "rules", filepath.FromSlash(f), "doc.md"))
		if err != nil || !strings.HasPrefix(string(page), "# ") {
			t.Errorf("rule %s has no doc.md that begins with a heading (%v)", f, err)
		}
	}
	if len(folders) != len(listed) {
		t.Errorf("%d rule folders, %d rules in the list", len(folders), len(listed))
	}
}

func TestEveryParserIsListed(t *testing.T) {
	folders := 0
	for _, s := range sources(t) {
		if !s.isTest() && strings.HasPrefix(s.dir, "parsers/") && declares(s.file, "Parser") {
			folders++
		}
	}
	names := map[string]bool{}
	for _, p := range parsers.All() {
		names[p.Name] = true
		if p.Doc == "" {
			t.Errorf("parser %s does not say what it reads", p.Name)
		}
	}
	if folders != len(names) {
		t.Errorf("%d parser folders, %d parsers in the list: run go generate ./parsers", folders, len(names))
	}
}

package celrule

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Options say what rules may use.
type Options struct {
	// Facts are the types that rules can read; nil means fact.Builtin. A program
	// with kinds of its own appends them.
	Facts []fact.Fact
	// CostLimit bounds one evaluation, in CEL's units; zero means DefaultCostLimit.
	CostLimit uint64
	// Folder is put before file names in errors, so that they can be opened.
	Folder string
}

// DefaultCostLimit lets an expression look at about a million elements.
const DefaultCostLimit = 10_000_000

// file is the YAML form of a rule.
type file struct {
	Rule       string               `yaml:"rule"`
	Title      string               `yaml:"title"`
	Severity   string               `yaml:"severity"`
	Confidence string               `yaml:"confidence"`
	Doc        string               `yaml:"doc"`
	After      []string             `yaml:"after"`
	Thresholds map[string]threshold `yaml:"thresholds"`
	Facts      map[string]list      `yaml:"facts"`
	Each       string               `yaml:"each"`
	By         string               `yaml:"by"`
	When       string               `yaml:"when"`
	Subject    string               `yaml:"subject"`
	Say        string               `yaml:"say"`
	Detail     string               `yaml:"detail"`
	Fix        string               `yaml:"fix"`
	Next       []string             `yaml:"next"`
}

type threshold struct {
	Default float64 `yaml:"default"`
	Unit    string  `yaml:"unit"`
	Doc     string  `yaml:"doc"`
}

type list struct {
	Kind  string `yaml:"kind"`
	Where string `yaml:"where"`
}

// Error is a fault in a rule file, with its position.
type Error struct {
	File         string
	Line, Column int
	Msg          string
}

// Error is "file:line:column: what".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg) }

// casesFolder is the folder that holds the cases of rules.
const casesFolder = "testdata"

// Load reads every *.yaml and *.yml file below the root of fsys, except
// overrides.yaml and what stands in folders named testdata, as one rule each. All faults of all files are reported together.
func Load(fsys fs.FS, opts Options) ([]*analyze.Rule, error) {
	c, err := newCompiler(opts)
	if err != nil {
		return nil, err
	}
	var rules []*analyze.Rule
	var errs []error
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == casesFolder {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() {
			return err
		}
		if ext := path.Ext(name); ext != ".yaml" && ext != ".yml" || path.Base(name) == OverridesFile {
			return nil
		}
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		r, err := c.rule(path.Join(opts.Folder, name), text)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		rules = append(rules, r)
		return nil
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	slices.SortFunc(rules, func(a, b *analyze.Rule) int { return strings.Compare(a.ID, b.ID) })
	return rules, nil
}

// Parse makes a rule of one file.
func Parse(name string, text []byte, opts Options) (*analyze.Rule, error) {
	c, err := newCompiler(opts)
	if err != nil {
		return nil, err
	}
	return c.rule(name, text)
}

// source is a rule file with the positions of its values.
type source struct {
	name  string
	lines []string
	tree  *ast.File
}

// decode reads strict YAML: an unknown or repeated key is an error, because a
// misspelt key would silently change what a rule does.
func decode(name string, text []byte, into any) (*source, error) {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, yamlError(name, err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := dec.Decode(into); err != nil {
		return nil, yamlError(name, err)
	}
	return &source{name: name, lines: strings.Split(string(text), "\n"), tree: tree}, nil
}

func yamlError(name string, err error) error {
	e := &Error{File: name, Line: 1, Column: 1, Msg: err.Error()}
	var y yaml.Error
	if errors.As(err, &y) {
		e.Msg = y.GetMessage()
		if t := y.GetToken(); t != nil && t.Position != nil {
			e.Line, e.Column = t.Position.Line, t.Position.Column
		}
	}
	return e
}

// position is where the value at a path such as "$.facts.stuck.where" begins, or
// line 1 if it is missing. block reports a value that starts on the next line.
func (s *source) position(yamlPath string) (line, column int, block bool) {
	p, err := yaml.PathString(yamlPath)
	if err != nil {
		return 1, 1, false
	}
	node, err := p.FilterFile(s.tree)
	if err != nil || node == nil || node.GetToken() == nil {
		return 1, 1, false
	}
	if lit, ok := node.(*ast.LiteralNode); ok {
		// The text of `|` and `>` starts on the line after the sign.
		line = lit.Start.Position.Line + 1
		first := s.lines[min(line, len(s.lines))-1]
		return line, len(first) - len(strings.TrimLeft(first, " ")) + 1, true
	}
	t := node.GetToken()
	column = t.Position.Column
	if strings.HasPrefix(strings.TrimSpace(t.Origin), `"`) || strings.HasPrefix(strings.TrimSpace(t.Origin), "'") {
		column++
	}
	return t.Position.Line, column, false
}

// errorf is a fault at a value of the file.
func (s *source) errorf(yamlPath, format string, args ...any) *Error {
	line, column, _ := s.position(yamlPath)
	return &Error{File: s.name, Line: line, Column: column, Msg: fmt.Sprintf(format, args...)}
}

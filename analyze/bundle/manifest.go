package bundle

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// manifestFile is culprit.yaml; manifest.md describes it.
type manifestFile struct {
	Summary   string         `yaml:"summary"`
	From      moment         `yaml:"from"`
	To        moment         `yaml:"to"`
	Collected moment         `yaml:"collected"`
	Zone      zone           `yaml:"zone"`
	Host      string         `yaml:"host"`
	Hosts     []manifestHost `yaml:"hosts"`
	Files     []manifestPart `yaml:"files"`
	Expected  []expectation  `yaml:"expected"`
}

type manifestHost struct {
	Path  string `yaml:"path"`
	Name  string `yaml:"name"`
	Zone  zone   `yaml:"zone"`
	Clock *shift `yaml:"clock"`
}

type manifestPart struct {
	Path   string `yaml:"path"`
	Parser string `yaml:"parser"`
	Host   string `yaml:"host"`
}

// maxManifest bounds the file, maxBrackets how deep lists in it are nested: the
// time that the YAML library takes grows with the square of both.
const (
	maxManifest = 64 << 10
	maxBrackets = 32
)

// manifest reads culprit.yaml, the one nearest to the root.
func (o *opener) manifest() {
	in := findManifest(o.b.Inputs)
	if in == nil {
		return
	}
	text, err := readManifest(in)
	var file *manifestFile
	if err == nil {
		file, err = parseManifest(text)
	}
	if err != nil {
		o.b.ManifestErr = fmt.Errorf("%s: %w", in.Path, err)
		in.Note = "the manifest is not used: " + err.Error()
		return
	}
	in.Note = "the bundle's manifest"
	o.b.Manifest = file.manifest(in)
}

func findManifest(inputs []*analyze.Input) *analyze.Input {
	var found []*analyze.Input
	for _, in := range inputs {
		if base := path.Base(in.Path); (base == "culprit.yaml" || base == "culprit.yml") && in.Err == nil {
			found = append(found, in)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return slices.MinFunc(found, func(a, b *analyze.Input) int {
		return cmp.Or(cmp.Compare(strings.Count(a.Path, "/"), strings.Count(b.Path, "/")), cmp.Compare(a.Path, b.Path))
	})
}

func readManifest(in *analyze.Input) ([]byte, error) {
	r, err := in.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err == nil && len(text) > maxManifest {
		err = limitError("a manifest has at most %s", inUnits(maxManifest))
	}
	return text, err
}

// parseManifest reads the YAML strictly: a key that is not known is an error, so
// that a misspelt one cannot be overlooked. Errors name line and column.
func parseManifest(text []byte) (file *manifestFile, err error) {
	// The manifest is as hostile as anything else, and the YAML library is not
	// ours: its panics must not end the run.
	defer func() {
		if v := recover(); v != nil {
			file, err = nil, fmt.Errorf("not readable as YAML: %v", v)
		}
	}()
	if nested(text) > maxBrackets {
		return nil, limitError("a manifest nests at most %d brackets", maxBrackets)
	}
	file = &manifestFile{}
	err = yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(file)
	if errors.Is(err, io.EOF) {
		err = nil // an empty file says nothing
	}
	if err != nil {
		return nil, errors.New(strings.TrimSpace(firstLines(yaml.FormatError(err, false, false))))
	}
	for i, h := range file.Hosts {
		if h.Path == "" || h.Name == "" {
			return nil, fmt.Errorf("hosts[%d] needs a path and a name", i)
		}
	}
	for i, f := range file.Files {
		if f.Path == "" || (f.Parser == "" && f.Host == "") {
			return nil, fmt.Errorf("files[%d] needs a path, and a parser or a host", i)
		}
	}
	for i := range file.Expected {
		ref := &file.Expected[i].Ref
		ref.Offset = lineStart(text, ref.Line)
	}
	return file, nil
}

// nested is how many brackets are open at the same time, at most.
func nested(text []byte) int {
	depth, deepest := 0, 0
	for _, c := range text {
		switch c {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return deepest
}

// lineStart is the offset of a line, from 1. The YAML library counts characters.
func lineStart(text []byte, line int) int64 {
	start := 0
	for ; line > 1; line-- {
		i := bytes.IndexByte(text[start:], '\n')
		if i < 0 {
			break
		}
		start += i + 1
	}
	return int64(start)
}

// firstLines keeps what fits a remark in a report.
func firstLines(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// manifest is the file in the engine's terms. Paths in the file count from the
// folder where it stands.
func (f *manifestFile) manifest(at *analyze.Input) *analyze.Manifest {
	dir := strings.TrimSuffix(at.Path, path.Base(at.Path))
	m := &analyze.Manifest{
		Summary: f.Summary, From: f.From.Time, To: f.To.Time, Collected: f.Collected.Time,
		Zone: f.Zone.Location, Ref: fact.Ref{Artifact: at.ID(), Line: 1},
	}
	if f.Host != "" {
		m.Hosts = append(m.Hosts, analyze.HostRule{Prefix: dir, Host: f.Host})
	}
	for _, h := range f.Hosts {
		m.Hosts = append(m.Hosts, analyze.HostRule{Prefix: dir + h.Path, Host: h.Name, Zone: h.Zone.Location, Clock: (*time.Duration)(h.Clock)})
	}
	for _, e := range f.Expected {
		e.Ref.Artifact = at.ID()
		m.Expected = append(m.Expected, analyze.Expectation(e))
	}
	for _, p := range f.Files {
		m.Files = append(m.Files, analyze.FileRule{Path: dir + p.Path, Parser: p.Parser, Host: p.Host})
	}
	return m
}

// shift is a difference of clocks: "-3m12s".
type shift time.Duration

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (s *shift) UnmarshalYAML(n ast.Node) error {
	d, err := time.ParseDuration(n.GetToken().Value)
	if err != nil {
		return at(n, fmt.Errorf("%q is no difference of clocks such as -3m12s", n.GetToken().Value))
	}
	*s = shift(d)
	return nil
}

// moment is a time with its zone.
type moment struct{ time.Time }

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (m *moment) UnmarshalYAML(n ast.Node) error {
	s := n.GetToken().Value
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return at(n, fmt.Errorf("%q is no time such as 2026-11-21T00:36:32+08:00", s))
	}
	m.Time = t
	return nil
}

// zone is a time zone, by name or offset.
type zone struct{ *time.Location }

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (z *zone) UnmarshalYAML(n ast.Node) error {
	loc, err := ParseZone(n.GetToken().Value)
	if err != nil {
		return at(n, err)
	}
	z.Location = loc
	return nil
}

// ParseZone reads a zone's name or its offset. The zone of the machine ("Local")
// is refused: what a report says must not depend on where it is made.
func ParseZone(s string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", s); err == nil {
		return time.FixedZone(s, zoneOffset(t)), nil
	}
	loc, err := time.LoadLocation(s)
	if err != nil || s == "" || strings.EqualFold(s, "local") {
		return nil, fmt.Errorf("unknown zone %q, want a name such as Asia/Shanghai or an offset such as +08:00", s)
	}
	return loc, nil
}

func zoneOffset(t time.Time) int {
	_, offset := t.Zone()
	return offset
}

// expectation is one item of the inventory: a mapping with one of the words peer,
// listener, version or setting, and a name.
type expectation analyze.Expectation

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (e *expectation) UnmarshalYAML(n ast.Node) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return at(n, errors.New("an expectation is a mapping such as {peer: 10.0.0.9:9092, name: kafka}"))
	}
	for it := m.MapRange(); it.Next(); {
		key, value := it.Key().GetToken().Value, it.Value().GetToken().Value
		switch key {
		case "name":
			e.Name = value
		case "peer", "listener", "version", "setting":
			if e.What != "" {
				return at(n, fmt.Errorf("an expectation is a %s or a %s, not both", e.What, key))
			}
			e.What, e.Value = key, value
			e.Ref.Line = it.Key().GetToken().Position.Line
		default:
			return at(it.Key(), fmt.Errorf("unknown key %q, want peer, listener, version, setting or name", key))
		}
	}
	if e.What == "" {
		return at(n, errors.New("an expectation needs a peer, listener, version or setting"))
	}
	return nil
}

// at puts the position of a node before an error.
func at(n ast.Node, err error) error {
	pos := n.GetToken().Position
	return fmt.Errorf("[%d:%d] %w", pos.Line, pos.Column, err)
}

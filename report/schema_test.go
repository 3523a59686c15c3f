package report

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("report.json", doc))
	s, err := c.Compile("report.json")
	require.NoError(t, err)
	return s
}

func TestSchemaAcceptsReports(t *testing.T) {
	s := compiled(t)
	empty := &analyze.Result{Schema: analyze.Schema, Verdict: analyze.Verdict{Status: analyze.StatusInsufficient}}
	for name, r := range map[string]*analyze.Result{"sample": sample(), "empty": empty} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(encode(t, "json", r, Options{})))
		require.NoError(t, err)
		assert.NoError(t, s.Validate(doc), name)
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := compiled(t)
	for name, edit := range map[string]func(*analyze.Result){
		"another schema":  func(r *analyze.Result) { r.Schema = "culprit/report/v2" },
		"verdict":         func(r *analyze.Result) { r.Verdict.Status = "fine" },
		"no evidence":     func(r *analyze.Result) { r.Findings[0].Evidence = nil },
		"unset severity":  func(r *analyze.Result) { r.Findings[0].Severity = 0 },
		"id without hash": func(r *analyze.Result) { r.Findings[0].ID = "go/leaked-lock" },
		"artifact state":  func(r *analyze.Result) { r.Artifacts[0].Status = "lost" },
		"rule state":      func(r *analyze.Result) { r.Rules[0].Status = "bored" },
		"negative line":   func(r *analyze.Result) { r.Findings[0].Evidence[0].Line = -1 },
	} {
		r := sample()
		edit(r)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(encode(t, "json", r, Options{})))
		require.NoError(t, err)
		assert.Error(t, s.Validate(doc), name)
	}
}

// TestSchemaHasEveryField compares the schema with the types: a field that is
// added to one of them and forgotten here would make every report invalid.
func TestSchemaHasEveryField(t *testing.T) {
	type object struct {
		Properties map[string]object
		Required   []string
		Items      *object
	}
	var doc struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(Schema(), &doc))
	for _, tc := range []struct {
		name string
		def  object
		typ  reflect.Type
	}{
		{"report", doc.object, reflect.TypeFor[analyze.Result]()},
		{"tool", doc.Properties["tool"], reflect.TypeFor[analyze.Tool]()},
		{"bundle", doc.Properties["bundle"], reflect.TypeFor[analyze.Bundle]()},
		{"verdict", doc.Properties["verdict"], reflect.TypeFor[analyze.Verdict]()},
		{"finding", doc.Defs["finding"], reflect.TypeFor[analyze.Finding]()},
		{"evidence", doc.Defs["evidence"], reflect.TypeFor[analyze.Evidence]()},
		{"position", doc.Defs["position"], reflect.TypeFor[fact.Ref]()},
		{"entity", doc.Defs["entity"], reflect.TypeFor[analyze.Entity]()},
		{"timeline_entry", doc.Defs["timeline_entry"], reflect.TypeFor[analyze.TimelineEntry]()},
		{"artifact", doc.Defs["artifact"], reflect.TypeFor[analyze.ArtifactStatus]()},
		{"count", doc.Defs["count"], reflect.TypeFor[analyze.Count]()},
		{"rule", doc.Defs["rule"], reflect.TypeFor[analyze.RuleStatus]()},
	} {
		all, always := jsonFields(tc.typ)
		assert.Equal(t, all, slices.Sorted(maps.Keys(tc.def.Properties)), "properties of %s", tc.name)
		slices.Sort(tc.def.Required)
		assert.Equal(t, always, tc.def.Required, "required of %s", tc.name)
	}
}

// jsonFields lists the JSON names of a struct, and those that are always written.
func jsonFields(typ reflect.Type) (all, always []string) {
	for f := range typ.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-":
		case f.Anonymous && name == "":
			a, b := jsonFields(f.Type)
			all, always = append(all, a...), append(always, b...)
		default:
			all = append(all, name)
			if !strings.Contains(options, "omit") {
				always = append(always, name)
			}
		}
	}
	slices.Sort(all)
	slices.Sort(always)
	return all, always
}

func TestSchemaIsACopy(t *testing.T) {
	Schema()[0] = 'x'
	assert.Equal(t, byte('{'), Schema()[0])
}

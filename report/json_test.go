package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// sameResult is the equality that Decode promises.
var sameResult = []cmp.Option{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(fact.Ref{}, "Len")}

func encode(t *testing.T, name string, r *analyze.Result, opt Options) string {
	t.Helper()
	e, ok := ByName(name)
	require.True(t, ok, "no encoder %s", name)
	var b bytes.Buffer
	require.NoError(t, e.Encode(&b, r, opt))
	return b.String()
}

func TestDecodeInvertsEncode(t *testing.T) {
	for name, r := range map[string]*analyze.Result{
		"sample": sample(),
		"empty":  {Schema: analyze.Schema, Verdict: analyze.Verdict{Status: analyze.StatusInsufficient}},
	} {
		t.Run(name, func(t *testing.T) {
			text := encode(t, "json", r, Options{})
			got, err := Decode(strings.NewReader(text))
			require.NoError(t, err)
			if diff := cmp.Diff(r, got, sameResult...); diff != "" {
				t.Errorf("decoded result differs (-encoded +decoded):\n%s", diff)
			}
			assert.Equal(t, text, encode(t, "json", got, Options{}), "encoding again gives the same bytes")
		})
	}
}

func TestJSONForm(t *testing.T) {
	text := encode(t, "json", sample(), Options{})
	assert.True(t, strings.HasPrefix(text, "{\n  \"schema\": \"culprit/report/v1\",\n"), "two spaces of indent")
	assert.True(t, strings.HasSuffix(text, "}\n"), "one final newline")
	assert.Contains(t, text, "172.17.0.3:49001 > 172.17.0.9:9092", "angle brackets stay readable")
}

func TestDecodeRefuses(t *testing.T) {
	valid := encode(t, "json", sample(), Options{})
	edit := func(f func(m map[string]any)) string {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(valid), &m))
		f(m)
		b, err := json.Marshal(m)
		require.NoError(t, err)
		return string(b)
	}
	finding := func(m map[string]any, i int) map[string]any { return m["findings"].([]any)[i].(map[string]any) }
	for name, tc := range map[string]struct{ text, says string }{
		"nothing":            {"", "unexpected end"},
		"not json":           {"# Report\n", "invalid character"},
		"a list":             {"[]", "cannot unmarshal"},
		"two documents":      {valid + valid, "after top-level value"},
		"cut":                {valid[:len(valid)/2], "unexpected end"},
		"no schema":          {edit(func(m map[string]any) { delete(m, "schema") }), "no schema field"},
		"next version":       {edit(func(m map[string]any) { m["schema"] = "culprit/report/v2"; m["x"] = 1 }), `schema "culprit/report/v2"`},
		"unknown field":      {edit(func(m map[string]any) { finding(m, 0)["blame"] = "dave" }), `"blame"`},
		"unknown severity":   {edit(func(m map[string]any) { finding(m, 0)["severity"] = "fatal" }), "unknown severity"},
		"unset role":         {edit(func(m map[string]any) { delete(finding(m, 0), "role") }), "lacks a severity, a confidence or a role"},
		"unknown status":     {edit(func(m map[string]any) { m["verdict"].(map[string]any)["status"] = "fine" }), `verdict status "fine"`},
		"dangling cause":     {edit(func(m map[string]any) { finding(m, 0)["causes"] = []any{"a/b#0"} }), `unknown finding "a/b#0"`},
		"dangling verdict":   {edit(func(m map[string]any) { m["verdict"].(map[string]any)["root_causes"] = []any{"a/b#0"} }), "verdict refers"},
		"same id twice":      {edit(func(m map[string]any) { finding(m, 1)["id"] = finding(m, 0)["id"] }), "two findings"},
		"null finding":       {edit(func(m map[string]any) { m["findings"].([]any)[0] = nil }), "is null"},
		"finding, no proof":  {edit(func(m map[string]any) { finding(m, 0)["evidence"] = []any{} }), "has no evidence"},
		"finding, no title":  {edit(func(m map[string]any) { finding(m, 0)["title"] = "" }), "lacks an id"},
		"wrong type of time": {edit(func(m map[string]any) { finding(m, 0)["from"] = "yesterday" }), "yesterday"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Decode(strings.NewReader(tc.text))
			require.ErrorIs(t, err, ErrSchema)
			assert.ErrorContains(t, err, tc.says)
			assert.Nil(t, r)
		})
	}
}

func TestEncoders(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range Encoders() {
		assert.NotEmpty(t, e.Doc, e.Name)
		assert.True(t, strings.HasPrefix(e.Ext, "."), e.Name)
		assert.False(t, seen[e.Name], "two encoders are named %s", e.Name)
		seen[e.Name] = true
		assert.Equal(t, encode(t, e.Name, sample(), Options{}), encode(t, e.Name, sample(), Options{}), "%s is deterministic", e.Name)
	}
	_, ok := ByName("carrier pigeon")
	assert.False(t, ok)
}

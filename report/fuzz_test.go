package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzDecode: whatever a file says, it is refused or every format can be made of
// it, and JSON of it reads back the same.
func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	if err := encodeJSON(&b, sample(), Options{}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add(`{"schema":"culprit/report/v1","verdict":{"status":"clean"}}`)
	f.Add(`{"schema":"culprit/report/v1","verdict":{"status":"clean"},"timeline":[{"time":"0001-01-01T00:00:00Z","uncertainty_ns":-1},{"time":"9998-01-01T00:00:00Z","uncertainty_ns":9223372036854775807}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Decode(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, e := range Encoders() {
			var out bytes.Buffer
			for _, opt := range []Options{{}, {Full: true, Color: true, Width: 1}} {
				if err := e.Encode(&out, r, opt); err != nil {
					t.Fatalf("%s: %v", e.Name, err)
				}
			}
		}
		var again bytes.Buffer
		if err := encodeJSON(&again, r, Options{}); err != nil {
			t.Fatal(err)
		}
		second, err := Decode(&again)
		if err != nil {
			t.Fatalf("does not read back: %v", err)
		}
		if diff := cmp.Diff(r, second, sameResult...); diff != "" {
			t.Errorf("reads back differently:\n%s", diff)
		}
	})
}

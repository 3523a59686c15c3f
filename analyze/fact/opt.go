package fact

import (
	"encoding/json"
	"strconv"
	"time"
)

// Opt is a value that the source may not have printed. The zero value is unset
// and is left out of JSON by `omitzero`.
type Opt[T any] struct {
	V     T
	Known bool
}

// Int is an integer that the source may not have printed.
type Int = Opt[int64]

// Some is a value that the source printed.
func Some[T any](v T) Opt[T] { return Opt[T]{V: v, Known: true} }

// Or is the value, or def where the source printed none.
func (o Opt[T]) Or(def T) T {
	if o.Known {
		return o.V
	}
	return def
}

// IsZero reports whether the source printed nothing; it is what `omitzero` asks.
func (o Opt[T]) IsZero() bool { return !o.Known }

// MarshalJSON writes the value itself, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Known {
		return []byte("null"), nil
	}
	if n, ok := any(o.V).(int64); ok { // nearly all, of tables with 100,000 rows
		return strconv.AppendInt(nil, n, 10), nil
	}
	return json.Marshal(o.V)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Opt[T]) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*o = Opt[T]{}
		return nil
	}
	o.Known = true
	return json.Unmarshal(b, &o.V)
}

// Basis says what a time of an artifact counts from.
type Basis int

// The bases, from worst to best known.
const (
	NoTime      Basis = iota // the artifact gives no time
	Inferred                 // derived from something else, for example an uptime
	FileTime                 // modification time in the archive
	LocalNoZone              // a wall clock that does not say its zone
	LocalZone                // a wall clock with its zone or offset
	Epoch                    // seconds since 1970 in UTC
)

var basisNames = [...]string{"none", "inferred", "file", "local", "zoned", "epoch"}

// String is the word used in JSON.
func (b Basis) String() string {
	if b < 0 || int(b) >= len(basisNames) {
		return "unknown"
	}
	return basisNames[b]
}

// MarshalText writes the word.
func (b Basis) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads the word; an unknown one is NoTime.
func (b *Basis) UnmarshalText(t []byte) error {
	*b = NoTime
	for i, n := range basisNames {
		if n == string(t) {
			*b = Basis(i)
		}
	}
	return nil
}

// Time is an instant as an artifact states it. With basis LocalNoZone the fields
// of the wall clock are kept in T as if they were UTC; join.Clocks knows the
// offset that makes an instant of it.
type Time struct {
	T     time.Time `json:"time,omitzero"`
	Basis Basis     `json:"basis,omitzero"`
	// Precision is the smallest step the source prints (1s, 1ms, 1ns).
	Precision time.Duration `json:"-"`
}

// Known reports whether the artifact gave a time at all.
func (t Time) Known() bool { return t.Basis != NoTime && !t.T.IsZero() }

// Absolute reports whether T can be compared with times of other artifacts
// without knowing the zone.
func (t Time) Absolute() bool { return t.Known() && t.Basis >= LocalZone }

// Package fact holds what parsers find and rules read: one struct for each kind
// of fact, where each fact was found, and the store that keeps them for a run.
//
// The package imports the standard library only. A fact is a plain value; its
// fields say what the source printed, and a field that the source did not print
// is left unset, never guessed (see Opt). The JSON form of each struct is what
// `analyze facts` prints.
package fact

import (
	"cmp"
	"fmt"
)

// ID names an artifact: its path within the bundle, with slashes. An artifact
// found inside another one carries both names, joined by '!':
// "app.log!goroutines" is the dump inside app.log, "logs.zip!a.log" a member.
type ID string

// Ref says where a fact stands: enough to cite it and to read it again.
// Line and Packet count from 1; the one that does not apply is zero.
type Ref struct {
	Artifact ID `json:"artifact"`
	// Line is the first line, counted by '\n' in the artifact as it was opened
	// (after decompression).
	Line int `json:"line,omitempty"`
	// Packet is the frame number in a capture, as Wireshark counts.
	Packet int `json:"packet,omitempty"`
	// Offset is the byte where the record starts, Len its length in bytes.
	// Len zero means: to the end of the line.
	Offset int64 `json:"offset,omitempty"`
	Len    int   `json:"-"`
}

// IsZero reports whether the reference points nowhere.
func (r Ref) IsZero() bool { return r == Ref{} }

// String is the form used in messages: "a.log:12", "x.pcap#48213" or "core".
func (r Ref) String() string {
	switch {
	case r.Packet > 0:
		return fmt.Sprintf("%s#%d", r.Artifact, r.Packet)
	case r.Line > 0:
		return fmt.Sprintf("%s:%d", r.Artifact, r.Line)
	}
	return string(r.Artifact)
}

// Compare orders references by artifact, then by position.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		cmp.Compare(r.Artifact, o.Artifact),
		cmp.Compare(r.Packet, o.Packet),
		cmp.Compare(r.Line, o.Line),
		cmp.Compare(r.Offset, o.Offset),
		cmp.Compare(r.Len, o.Len),
	)
}

// Kind names a type of fact: "flow", "goroutine". Kinds of other people's facts
// carry a prefix and a slash: "acme/jvm-thread".
type Kind string

// Fact is a value that a parser found. Implementations are structs with value
// receivers; the kind is a constant of the type and must not depend on the value.
type Fact interface {
	Kind() Kind
	Ref() Ref
}

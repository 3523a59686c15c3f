package unexpectedpeer

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// difference is a setting that a log states of a member and that the inventory, or
// the lines about its siblings, state otherwise.
type difference struct {
	name   string // "version"; "" where the line gives the value no name
	want   string
	wantAt fact.Ref
	value  string
	listed bool // the inventory says what it should be
}

// words are "version 2.9.4 in place of 3.2.0".
func (d difference) words() string {
	return strings.TrimSpace(d.name + " " + d.value + " in place of " + d.want)
}

// source says who states the wanted value.
func (d difference) source() string {
	if d.listed {
		return "the inventory says"
	}
	return "the same line about its siblings says"
}

// differences compares what logs say of the member with what the inventory says
// of all members, and with what the same logs say of its siblings.
func (m *member) differences(inv *inventory, announced map[netip.Addr][]*fact.LogEvent) {
	for _, want := range inv.settings {
		for _, e := range m.logs {
			name := cmp.Or(want.Name, want.What)
			if v, ok := stated(e.Text, name); ok && v != want.Value {
				m.differs = append(m.differs, difference{name, want.Value, want.At, v, true})
				break
			}
		}
	}
	if len(m.differs) > 0 {
		return
	}
	for _, e := range m.logs {
		var others []*fact.LogEvent
		for _, a := range m.siblings {
			for _, o := range announced[a] {
				if o.At.Artifact == e.At.Artifact {
					others = append(others, o)
				}
			}
		}
		m.differs = append(m.differs, unlike(e, others)...)
	}
}

// unlike lists the words in which a line differs from others of its kind that all
// agree: what those say of every sibling, it says otherwise of its own peer.
// Names, addresses and counts differ between siblings or are numbers, and are none.
func unlike(e *fact.LogEvent, others []*fact.LogEvent) []difference {
	own := splitWords(e.Text)
	var same [][]string
	var first *fact.LogEvent
	for _, o := range others {
		if w := splitWords(o.Text); len(w) == len(own) {
			if first == nil {
				first = o
			}
			same = append(same, w)
		}
	}
	if len(same) < 2 {
		return nil
	}
	agree := func(i int) bool {
		return !slices.ContainsFunc(same, func(w []string) bool { return w[i] != same[0][i] })
	}
	var out []difference
	for i, v := range own {
		if v == same[0][i] || !agree(i) || !setting(v) || !setting(same[0][i]) {
			continue
		}
		d := difference{want: same[0][i], wantAt: first.At, value: v}
		if i > 0 && own[i-1] == same[0][i-1] && agree(i-1) {
			d.name = own[i-1]
		}
		out = append(out, d)
	}
	return out
}

// setting reports whether a word can be a version or a name, and is no address and
// no bare number.
func setting(w string) bool {
	if _, err := strconv.ParseFloat(w, 64); err == nil && strings.Count(w, ".") < 2 {
		return false
	}
	if _, err := netip.ParseAddr(w); err == nil {
		return false
	}
	_, ok := join.ParseAddrPort(w)
	return !ok
}

// stated is the value behind a key in a line: "version=2.9.4", "version 2.9.4",
// "version: 2.9.4".
func stated(text, key string) (string, bool) {
	words := splitWords(text)
	for i, w := range words {
		if strings.EqualFold(w, key) && i+1 < len(words) {
			return words[i+1], true
		}
	}
	return "", false
}

// splitWords splits a line at what separates keys and values.
func splitWords(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" =,\"{}()[]", r) })
	for i, w := range words {
		words[i] = strings.TrimRight(w, ".;:")
	}
	return words
}

package join

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Skew is how far the clock of a host, or of a capture whose host is not known, is
// off the bundle's clock, which is that of Reference.
type Skew struct {
	Clock, Reference string
	// Offset is added to its times to get those of the bundle's clock.
	Offset, Uncertainty time.Duration
	// Known is false when no event was seen by both clocks, or when several offsets
	// explain as many: those are Others. Then nothing is matched across the two by
	// time.
	Known  bool
	Why    string
	Pairs  []Pair
	Others []time.Duration
}

// skews are the clocks of a bundle that holds more than one.
type skews struct {
	list   []*Skew // in the order of their names; the reference is not among them
	byName map[string]*Skew
	of     map[fact.ID]string // the clock of each artifact
}

// apart is the offset from which two clocks are not taken for one: what is nearer
// is within what log lines can tell.
const apart = time.Second

// clockNames says which clock dates each artifact: its host's. In a bundle that
// tells no hosts apart, captures of one path may still show two clocks; then files
// go with the capture whose first word they share.
func clockNames(p *analyze.Pass) map[fact.ID]string {
	h, out := HostsOf(p), map[fact.ID]string{}
	if h.Several() {
		for _, a := range p.Facts.Artifacts() {
			if host := h.OfArtifact(a.ID); host != "" {
				out[a.ID] = host
			}
		}
		return out
	}
	var captures []fact.ID
	for _, w := range PathsOf(p).All {
		if w.Offset.Abs() > apart {
			captures = append(captures, w.Client, w.Server)
		}
	}
	slices.Sort(captures)
	captures = slices.Compact(captures)
	for _, a := range p.Facts.Artifacts() {
		for _, c := range captures {
			switch {
			case a.ID == c:
				out[a.ID] = string(c)
			case out[a.ID] == "" && len(captures) > 1 && kin(a.ID, c) && !kinOfAnother(a.ID, c, captures):
				out[a.ID] = string(c)
			}
		}
	}
	return out
}

func kinOfAnother(id, c fact.ID, captures []fact.ID) bool {
	return slices.ContainsFunc(captures, func(o fact.ID) bool { return o != c && kin(id, o) })
}

// kin reports whether the names of two artifacts of one folder say that they belong
// together: "client.log" and "client-eth0.pcap".
func kin(a, b fact.ID) bool {
	return path.Dir(string(a)) == path.Dir(string(b)) && firstWord(a) == firstWord(b)
}

func firstWord(id fact.ID) string {
	base := path.Base(string(id))
	if i := strings.IndexAny(base, "._-"); i > 0 {
		return base[:i]
	}
	return base
}

func buildSkews(p *analyze.Pass) *skews {
	s := &skews{byName: map[string]*Skew{}, of: clockNames(p)}
	size := map[string]int{}
	for _, a := range p.Facts.Artifacts() {
		if name := s.of[a.ID]; name != "" {
			size[name]++
		}
	}
	names := slices.Sorted(maps.Keys(size))
	if len(names) < 2 {
		return &skews{}
	}
	reference := slices.MaxFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(size[a], size[b]), cmp.Compare(b, a))
	})
	known := map[string]*Skew{reference: {Clock: reference, Known: true}}
	said := manifestClocks(p, s.of)
	edges := append(s.byPaths(p), s.byLogs(p)...)
	for grown := true; grown; {
		grown = false
		for _, e := range edges {
			for _, k := range []*Skew{e, e.reversed()} {
				if base := known[k.Reference]; e.Known && base != nil && known[k.Clock] == nil {
					k.Offset += base.Offset
					k.Uncertainty += base.Uncertainty
					k.Reference, known[k.Clock], grown = reference, k, true
				}
			}
		}
	}
	for _, name := range names {
		if name == reference && said[name] == nil {
			continue
		}
		k := known[name]
		if k == nil {
			k = &Skew{Clock: name, Reference: reference, Why: "no event that both clocks date is in the bundle"}
			for _, e := range edges {
				if e.Reference == name {
					e = e.reversed()
				}
				if len(e.Others) > 0 && e.Clock == name {
					k.Others, k.Why = e.Others, e.Why
				}
			}
		}
		if d := said[name]; d != nil {
			k = &Skew{Clock: name, Reference: reference, Offset: *d, Known: true, Uncertainty: apart, Why: "the manifest says so"}
		}
		s.byName[name] = k
		if name != reference {
			s.list = append(s.list, k)
		}
	}
	return s
}

// manifestClocks are the offsets that the manifest states.
func manifestClocks(p *analyze.Pass, of map[fact.ID]string) map[string]*time.Duration {
	out := map[string]*time.Duration{}
	if p.Manifest == nil {
		return out
	}
	for _, h := range p.Manifest.Hosts {
		for id, name := range of {
			if h.Clock != nil && (h.Host == name || strings.HasPrefix(string(id), h.Prefix) && h.Host == "") {
				out[name] = h.Clock
			}
		}
	}
	return out
}

func (k *Skew) reversed() *Skew {
	r := *k
	r.Clock, r.Reference, r.Offset = k.Reference, k.Clock, -k.Offset
	r.Others = make([]time.Duration, len(k.Others))
	for i, o := range k.Others {
		r.Others[len(k.Others)-1-i] = -o
	}
	r.Pairs = make([]Pair, len(k.Pairs))
	for i, pair := range k.Pairs {
		r.Pairs[i] = Pair{Here: pair.There, There: pair.Here, What: pair.What, Difference: -pair.Difference}
	}
	return &r
}

// byPaths compares clocks by packets that captures of both show.
func (s *skews) byPaths(p *analyze.Pass) []*Skew {
	var out []*Skew
	for _, w := range PathsOf(p).All {
		a, b := s.of[w.Client], s.of[w.Server]
		if a == "" || b == "" || a == b || w.Connections == 0 {
			continue
		}
		out = append(out, &Skew{Clock: a, Reference: b, Offset: w.Offset, Uncertainty: w.Uncertainty, Known: true, Pairs: w.Pairs,
			Why: fmt.Sprintf("%d connections are in %s and in %s, the same packets", w.Connections, w.Client, w.Server)})
	}
	slices.SortStableFunc(out, func(a, b *Skew) int { return cmp.Compare(a.Uncertainty, b.Uncertainty) })
	return out
}

// byLogs compares clocks by lines and packets about the same connections.
func (s *skews) byLogs(p *analyze.Pass) []*Skew {
	events := map[string]map[string][]event{} // by clock, then by what happened
	add := func(at fact.Ref, t fact.Time, keys []string) {
		name := s.of[at.Artifact]
		if name == "" || !t.Known() {
			return
		}
		if events[name] == nil {
			events[name] = map[string][]event{}
		}
		for _, k := range keys {
			if list := events[name][k]; len(list) < 2 {
				events[name][k] = append(list, event{at: at, t: t.T, wall: !t.Absolute()})
			}
		}
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		add(e.At, e.Time, connectionKeys(e))
	}
	for f := range fact.All[fact.Flow](p.Facts) {
		if s.of[f.Ref().Artifact] != "" {
			flowMoments(f, add)
		}
	}
	var out []*Skew
	names := slices.Sorted(maps.Keys(events))
	for i, a := range names {
		for _, b := range names[i+1:] {
			if k := voteSkew(events[a], events[b]); k != nil {
				k.Clock, k.Reference = a, b
				out = append(out, k)
			}
		}
	}
	return out
}

// connectionKeys are the connections that a log line speaks of, and whether of
// their beginning or their end.
func connectionKeys(e *fact.LogEvent) []string {
	what := ""
	switch {
	case e.Errno == "ECONNRESET" || e.Errno == "EPIPE" || e.Errno == "ECONNREFUSED" || e.Errno == "ECONNABORTED":
		what = "the end of the connection of "
	case e.Errno == "" && slices.Contains(e.Signs, fact.SignConnect):
		what = "the beginning of the connection of "
	default:
		return nil
	}
	var keys []string
	for _, a := range e.Addresses {
		if ephemeral(a) {
			keys = append(keys, what+a)
		}
	}
	return keys
}

// flowMoments are the beginning and the end of a connection on the wire.
func flowMoments(f *fact.Flow, add func(fact.Ref, fact.Time, []string)) {
	if f.Proto() != "tcp" || f.Client().Port() < EphemeralFrom || f.Server().Addr().IsLoopback() {
		return
	}
	at := func(t time.Time) fact.Time { return fact.Time{T: t, Basis: fact.Epoch} }
	if f.ClientISN().Known {
		add(f.Ref(), at(f.First()), []string{"the beginning of the connection of " + f.Client().String()})
	}
	if len(f.Resets()) > 0 {
		add(f.Frame(f.Resets()[0].Frame), at(f.Resets()[0].Time), []string{"the end of the connection of " + f.Client().String()})
	}
}

// minAgree is how many connections must agree on an offset.
const minAgree = 3

// vote is one event that two clocks date, and how far they are apart on it.
type vote struct {
	d    time.Duration
	key  int // the connection that it is about
	pair Pair
}

// voteSkew looks for the offset on which most connections agree. Equal clocks win
// where they explain as many; two other offsets that do are none.
func voteSkew(a, b map[string][]event) *Skew {
	votes, keys := castVotes(a, b)
	zero, best, ties := count(votes)
	switch {
	case zero.count > 1 && zero.count >= best.count:
		k := &Skew{Known: true, Uncertainty: pairTolerance, Why: fmt.Sprintf("%d connections are dated alike by both", zero.count)}
		k.prove(votes[zero.from:zero.to])
		return k
	case best.count < minAgree || best.count*2 <= keys:
		return nil
	case len(ties) > 1:
		return &Skew{Others: ties, Why: fmt.Sprintf("%d offsets explain %d connections each", len(ties), best.count)}
	}
	k := &Skew{Known: true, Uncertainty: pairTolerance, Offset: votes[best.from+(best.to-best.from)/2].d,
		Why: fmt.Sprintf("%d of %d connections that both date agree", best.count, keys)}
	k.prove(votes[best.from:best.to])
	return k
}

func (k *Skew) prove(votes []vote) {
	for _, v := range votes[:min(len(votes), 3)] {
		k.Pairs = append(k.Pairs, v.pair)
	}
}

// castVotes pairs the events of two clocks, in the order of their differences, and
// counts the connections.
func castVotes(a, b map[string][]event) (votes []vote, keys int) {
	for _, k := range slices.Sorted(maps.Keys(a)) {
		if len(b[k]) == 0 || keys == maxClockEvents {
			continue
		}
		keys++
		for _, x := range a[k] {
			for _, y := range b[k] {
				d := y.t.Sub(x.t)
				if x.wall || y.wall { // up to the zone
					d -= d.Round(clockStep)
				}
				votes = append(votes, vote{d, keys, Pair{Here: x.at, There: y.at, What: k, Difference: d}})
			}
		}
	}
	slices.SortStableFunc(votes, func(x, y vote) int { return cmp.Compare(x.d, y.d) })
	return votes, keys
}

// window is a run of votes that agree, and for how many connections they are.
type window struct{ from, to, count int }

// count slides over the votes: the window around zero, the largest window, and the
// offsets of all that are as large and apart from one another.
func count(votes []vote) (zero, best window, ties []time.Duration) {
	in := map[int]int{} // votes in the window, by connection
	from := 0
	for to, v := range votes {
		in[v.key]++
		for v.d-votes[from].d > pairTolerance {
			if in[votes[from].key]--; in[votes[from].key] == 0 {
				delete(in, votes[from].key)
			}
			from++
		}
		w := window{from, to + 1, len(in)}
		if votes[from].d >= -pairTolerance && v.d <= pairTolerance && w.count > zero.count {
			zero = w
		}
		switch {
		case w.count > best.count:
			best, ties = w, []time.Duration{votes[from].d}
		case w.count == best.count && from >= best.to && votes[from].d-ties[len(ties)-1] > pairTolerance:
			ties = append(ties, votes[from].d)
		}
	}
	return zero, best, ties
}

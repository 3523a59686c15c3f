package wire

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Match ties a line of a log to the conversation that it complains about.
type Match struct {
	Event *fact.LogEvent
	Case  *Case
	// By says how they were tied, in words; Sure how sure that is.
	By   string
	Sure analyze.Confidence
	// Delta is the time from the packet to the line; Timed that it is known.
	Delta time.Duration
	Timed bool

	byTime bool // nothing but time ties them
}

// Logs ties the network errors of a bundle's logs to its conversations.
type Logs struct {
	// Matches are in the order of the log lines.
	Matches []Match
	// Unmatched are network errors without a conversation, Ambiguous those for
	// which conversations of several culprits fit equally well.
	Unmatched, Ambiguous []*fact.LogEvent

	byGroup map[*Group][]Match
}

var logs = analyze.Derived[*Logs]{
	Name:  "log lines of conversations",
	Needs: []fact.Kind{"log_event", "log"},
	Build: buildLogs,
}

// LogsOf returns the lines that belong to conversations.
func LogsOf(p *analyze.Pass) *Logs { return logs.Of(p) }

// Of are the lines that belong to a group's conversations.
func (l *Logs) Of(g *Group) []Match { return l.byGroup[g] }

// nearby is how far a log line may be from its packet: the line is written when
// the program gets to it.
const nearby = time.Second

// farthest is how far a line may be from the conversation that it names.
const farthest = time.Minute

// NetworkErrno reports whether an errno is how a program sees a broken or refused
// connection, or a host that it cannot reach.
func NetworkErrno(errno string) bool {
	switch errno {
	case "ECONNRESET", "EPIPE", "ECONNREFUSED", "ECONNABORTED", "ETIMEDOUT", "ESHUTDOWN", "ENOTCONN", "EHOSTUNREACH", "EHOSTDOWN":
		return true
	}
	return false
}

// shows reports whether a conversation of a class can show as an errno.
func shows(class Class, errno string) bool {
	refused := class == Refused || class == Fallback || class == Scan
	switch errno {
	case "ECONNREFUSED":
		return refused
	case "ECONNRESET", "EPIPE", "ECONNABORTED", "ESHUTDOWN", "ENOTCONN":
		return !refused && class != None
	case "ETIMEDOUT":
		return class == IdleTimeout || class == HalfOpen
	}
	return false
}

// logMatcher looks conversations up by address and by time.
type logMatcher struct {
	x      *Index
	hosts  *join.Hosts
	clocks *join.Clocks
	byAddr map[netip.AddrPort][]*Case
	byPort map[uint16][]*Case
	byTime []*Case
	writer map[fact.ID]*join.Process
	// names are the addresses that each log mentions anywhere.
	names map[fact.ID]map[netip.AddrPort]bool
	used  map[*Case]bool
}

func buildLogs(p *analyze.Pass) *Logs {
	x := Of(p)
	m := &logMatcher{
		x: x, hosts: join.HostsOf(p), clocks: join.ClocksOf(p),
		byAddr: map[netip.AddrPort][]*Case{}, byPort: map[uint16][]*Case{}, writer: map[fact.ID]*join.Process{},
		names: map[fact.ID]map[netip.AddrPort]bool{}, used: map[*Case]bool{},
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		for _, a := range e.Addresses {
			if ap, ok := join.ParseAddrPort(a); ok {
				if m.names[e.At.Artifact] == nil {
					m.names[e.At.Artifact] = map[netip.AddrPort]bool{}
				}
				m.names[e.At.Artifact][ap] = true
			}
		}
	}
	for _, pr := range join.ProcessesOf(p).All {
		for _, id := range pr.Logs {
			if m.writer[id] == nil {
				m.writer[id] = pr
			}
		}
	}
	for _, c := range x.Cases {
		var ports []uint16
		for _, ap := range x.addresses(c.Flow) {
			m.byAddr[ap] = append(m.byAddr[ap], c)
			if !slices.Contains(ports, ap.Port()) {
				ports = append(ports, ap.Port())
				m.byPort[ap.Port()] = append(m.byPort[ap.Port()], c)
			}
		}
		m.byTime = append(m.byTime, c)
	}
	slices.SortStableFunc(m.byTime, byTime)
	for _, list := range m.byAddr {
		slices.SortStableFunc(list, byTime)
	}
	for _, list := range m.byPort {
		slices.SortStableFunc(list, byTime)
	}
	return m.match(p)
}

// match ties each line with a network error to a conversation, or says that none or
// several fit.
func (m *logMatcher) match(p *analyze.Pass) *Logs {
	l := &Logs{byGroup: map[*Group][]Match{}}
	var found []Match // without a Case: none fits
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if !NetworkErrno(e.Errno) {
			continue
		}
		match, ambiguous := m.find(e)
		if ambiguous {
			l.Ambiguous = append(l.Ambiguous, e)
			continue
		}
		match.Event = e
		found = append(found, match)
		if match.Case != nil {
			m.used[match.Case] = true
		}
	}
	loosen(found)
	for _, match := range found {
		if match.Case == nil {
			l.Unmatched = append(l.Unmatched, match.Event)
			continue
		}
		l.Matches = append(l.Matches, match)
		if g := m.x.GroupOf(match.Case); g != nil {
			l.byGroup[g] = append(l.byGroup[g], match)
		}
	}
	return l
}

// sameEvent is how far apart the lines may be that a program writes of one error.
const sameEvent = 100 * time.Millisecond

// loosen takes the conversation from lines that only time ties to it where another
// line of the log is nearer: one reset is one error.
func loosen(found []Match) {
	type key struct {
		log  fact.ID
		conv *Case
	}
	nearest := map[key]time.Duration{}
	for _, f := range found {
		k := key{f.Event.At.Artifact, f.Case}
		if d, ok := nearest[k]; f.byTime && (!ok || f.Delta.Abs() < d.Abs()) {
			nearest[k] = f.Delta
		}
	}
	for i, f := range found {
		if f.byTime && (f.Delta-nearest[key{f.Event.At.Artifact, f.Case}]).Abs() > sameEvent {
			found[i] = Match{Event: f.Event}
		}
	}
}

// find ties a line to a conversation: by an address in its text, which time then
// narrows down, else by time alone, and then only when one culprit fits.
func (m *logMatcher) find(e *fact.LogEvent) (Match, bool) {
	at, uncertainty, timed := m.clocks.UTC(e.At.Artifact, e.Time)
	window := farthest + uncertainty
	if !timed {
		window = 0
	}
	if cases, how := m.named(e, at, window); len(cases) > 0 {
		best := m.nearest(cases, at, timed)
		timed = timed && m.clocks.Aligned(e.At.Artifact, best.Flow.Ref().Artifact)
		out := Match{Case: best, By: how, Sure: analyze.Likely, Timed: timed}
		if timed {
			out.Delta = at.Sub(best.At())
			if out.Delta.Abs() <= nearby+uncertainty {
				out.Sure = analyze.Confirmed
			}
		}
		return out, false
	}
	if !timed || uncertainty > 2*nearby || len(m.namesForeign(e)) > 0 {
		return Match{}, false
	}
	return m.inTime(e, at, nearby+uncertainty)
}

// fits reports whether a line of a log can be about a conversation.
func (m *logMatcher) fits(e *fact.LogEvent, c *Case) bool {
	if !shows(c.Class, e.Errno) {
		return false
	}
	return !m.hosts.Several() || m.hosts.Of(e.At) == m.hosts.Of(c.Flow.Ref()) || !loopback(c.Flow)
}

func loopback(f *fact.Flow) bool { return f.Server().Addr().IsLoopback() }

// named lists conversations of which the line names an end: a client's port names
// one connection, a service's address all of them.
// With a window, only those near the time of the line count: the same service may
// have failed for another reason before.
func (m *logMatcher) named(e *fact.LogEvent, at time.Time, window time.Duration) (cases []*Case, how string) {
	for _, a := range e.Addresses {
		var list []*Case
		ap, ok := join.ParseAddrPort(a)
		if ok && !ap.Addr().IsUnspecified() {
			list = m.byAddr[ap]
		} else if n, err := strconv.ParseUint(a, 10, 16); err == nil {
			list = m.byPort[uint16(n)]
		} else if ok {
			list = m.byPort[ap.Port()]
		}
		// Among many, those of the same moment are enough.
		fit := m.fitting(e, within(list, at, min(window, nearby)))
		if len(fit) == 0 && window > nearby {
			fit = m.fitting(e, within(list, at, window))
		}
		if len(fit) == 0 {
			fit = m.unaligned(e, list)
		}
		// The address with the fewest conversations says most.
		if len(fit) > 0 && (cases == nil || len(fit) < len(cases)) {
			cases, how = fit, "it names "+a
		}
	}
	return cases, how
}

// byTime orders conversations by when they ended.
func byTime(a, b *Case) int { return a.At().Compare(b.At()) }

// within cuts out of a list in the order of time what lies within a window; all of
// it without one.
func within(list []*Case, at time.Time, window time.Duration) []*Case {
	if window == 0 {
		return list
	}
	from, _ := slices.BinarySearchFunc(list, at.Add(-window), func(c *Case, t time.Time) int { return c.At().Compare(t) })
	to, _ := slices.BinarySearchFunc(list, at.Add(window+1), func(c *Case, t time.Time) int { return c.At().Compare(t) })
	return list[from:max(from, to)]
}

func (m *logMatcher) fitting(e *fact.LogEvent, list []*Case) []*Case {
	var out []*Case
	for _, c := range list {
		if m.fits(e, c) {
			out = append(out, c)
		}
	}
	return out
}

// unaligned are conversations whose capture's clock cannot be compared with that of
// the line, so that no window tells them from others.
func (m *logMatcher) unaligned(e *fact.LogEvent, list []*Case) []*Case {
	return slices.DeleteFunc(m.fitting(e, list), func(c *Case) bool { return m.clocks.Aligned(e.At.Artifact, c.Flow.Ref().Artifact) })
}

// namesForeign lists full addresses in a line that no conversation of the capture
// has: such a line is about something else.
func (m *logMatcher) namesForeign(e *fact.LogEvent) []string {
	var out []string
	for _, a := range e.Addresses {
		if ap, ok := join.ParseAddrPort(a); ok && !ap.Addr().IsUnspecified() {
			out = append(out, a)
		}
	}
	return out
}

// nearest is the conversation nearest in time. One that a line was tied to already
// comes after those nearby that have none yet.
func (m *logMatcher) nearest(cases []*Case, at time.Time, timed bool) *Case {
	if !timed {
		return cases[0]
	}
	distance := func(c *Case) time.Duration {
		d := c.At().Sub(at).Abs()
		if m.used[c] {
			d += nearby
		}
		return d
	}
	return slices.MinFunc(cases, func(a, b *Case) int { return cmp.Compare(distance(a), distance(b)) })
}

// inTime ties a line to the nearest conversation in time of which the writer can
// be an end. Two culprits within the window are ambiguous.
func (m *logMatcher) inTime(e *fact.LogEvent, at time.Time, window time.Duration) (Match, bool) {
	writer := m.writer[e.At.Artifact]
	var fit, known []*Case
	for _, c := range within(m.byTime, at, window) {
		if !m.fits(e, c) || c.Class == Left || !m.canWrite(writer, c) || m.hosts.Of(e.At) != m.hosts.Of(c.Flow.Ref()) {
			continue
		}
		fit = append(fit, c)
		// A log that mentions the connection elsewhere, by its client's address and
		// port, is one of its ends.
		if slices.ContainsFunc(m.x.tuples(c.Flow), func(ends [2]netip.AddrPort) bool { return m.names[e.At.Artifact][ends[0]] }) {
			known = append(known, c)
		}
	}
	out := Match{By: "it is written at the same time", Sure: analyze.Possible, Timed: true, byTime: true}
	switch {
	case len(known) > 0:
		fit, out.Sure = known, analyze.Likely
		out.By = "the log mentions the connection elsewhere, and the line is written at the same time"
	case writer != nil:
		out.Sure = analyze.Likely
		out.By = "its process can be an end of the connection and it is written at the same time"
	}
	groups := map[*Group]bool{}
	for _, c := range fit {
		groups[m.x.GroupOf(c)] = true
	}
	if len(groups) != 1 {
		return Match{}, len(groups) > 1
	}
	out.Case = m.nearest(fit, at, true)
	out.Delta = at.Sub(out.Case.At())
	return out, false
}

// canWrite reports whether a log's writer can be the victim of a conversation.
// What is unknown is possible.
func (m *logMatcher) canWrite(writer *join.Process, c *Case) bool {
	if writer == nil {
		return true
	}
	victim := m.x.ends.Client(c.Flow)
	if !c.FromServer {
		victim = m.x.ends.Server(c.Flow)
	}
	return victim.Process == nil || victim.Process == writer
}

// Cite is evidence at the line.
func (m Match) Cite(clocks *join.Clocks, format string, args ...any) analyze.Evidence {
	return clocks.Date(analyze.Cite(m.Event.At, format, args...), m.Event.Time)
}

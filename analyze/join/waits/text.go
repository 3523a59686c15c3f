package waits

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// Label is "goroutine 18", or how many there are where a grouped profile has no ids.
func (s *Stack) Label(g *fact.Goroutine) string {
	if g.ID != 0 {
		return fmt.Sprintf("goroutine %d", g.ID)
	}
	return join.Count(s.Count, "goroutine")
}

// At is "main.(*Hub).Publish at hub.go:31".
func (s *Stack) At(frame int) string {
	if w := s.Where(frame); w != "" {
		return s.Func(frame) + " at " + w
	}
	return s.Func(frame)
}

// Path is the application's frames from the wait outwards, for a sentence.
func (s *Stack) Path() string {
	const most = 5
	var out []string
	for _, i := range s.App {
		if wrapper(s.Frames[i].Func) {
			continue
		}
		if len(out) == most {
			out = append(out, "...")
			break
		}
		out = append(out, s.Func(i))
	}
	return strings.Join(out, " <- ")
}

// Cite is evidence at a goroutine, from its header to a frame.
func (s *Stack) Cite(g *fact.Goroutine, frame int, format string, args ...any) analyze.Evidence {
	return analyze.Cite(g.Through(frame), format, args...)
}

// Shown is the frame to which evidence shows a stack that waits: a few of the
// application's frames say how it got there.
func (s *Stack) Shown() int {
	const most = 3
	if len(s.App) == 0 {
		return s.Top()
	}
	return s.App[min(len(s.App), most)-1]
}

// SiteEntity is the identity of a frame's source line.
func (s *Stack) SiteEntity(host string, frame int) analyze.Entity {
	f := s.Frames[frame]
	return join.Site(host, f.File, f.Line, s.Where(frame))
}

// List joins at most n items with commas and says how many more there are.
func List(items []string, n int) string {
	if len(items) > n {
		items = append(slices.Clone(items[:n]), fmt.Sprintf("%d more", len(items)-n))
	}
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:len(items)-1], ", ") + " and " + items[len(items)-1]
}

// Sites says where goroutines wait for the lock: "main.(*Hub).Subscribe at
// hub.go:50 (4)".
func (l *Lock) Sites() string {
	count := map[*Stack]int64{}
	for _, w := range l.Waiters {
		count[w.Stack] += w.Stack.each()
	}
	var out []string
	for _, s := range l.Stacks() {
		out = append(out, fmt.Sprintf("%s (%d)", s.At(s.Site), count[s]))
	}
	return List(out, 5)
}

// WaiterEvidence cites up to n waiters, one a stack, those that have waited longest,
// but for those that are cited already.
func (l *Lock) WaiterEvidence(n int, cited ...*fact.Goroutine) []analyze.Evidence {
	var out []analyze.Evidence
	for _, s := range l.Stacks() {
		if len(out) == n {
			break
		}
		var first *fact.Goroutine
		count := int64(0)
		for _, w := range l.Waiters {
			if w.Stack != s || slices.Contains(cited, w.G) {
				continue
			}
			count += s.each()
			if first == nil || w.G.WaitMinutes.Or(0) > first.WaitMinutes.Or(0) {
				first = w.G
			}
		}
		if first == nil {
			continue
		}
		more := ""
		if count > 1 {
			more = fmt.Sprintf(", one of %d with this stack", count)
		}
		out = append(out, s.Cite(first, max(s.Site, s.Shown()), "%s waits for the %s in %s%s%s", s.Label(first), l.Name(), s.At(s.Site), aged(first), more))
	}
	return out
}

func aged(g *fact.Goroutine) string {
	if m := g.WaitMinutes.Or(0); m > 0 {
		return ", for at least " + join.Count(m, "minute")
	}
	return ""
}

// Age is ", for at least 12 minutes", or nothing where the dump prints no time.
func (l *Lock) Age() string {
	if m := l.Minutes(); m > 0 {
		return ", the longest for at least " + join.Count(m, "minute")
	}
	return ""
}

// In names the dump's process in a title: " in process 3989 (quotepushd)"; nothing
// where it is unknown.
func (d *Dump) In() string {
	if p := d.Owner.Process; p != nil {
		return " in " + p.String()
	}
	return ""
}

// Limits are what the dump itself cannot say, for Finding.Missing.
func (d *Dump) Limits() []string {
	var out []string
	if d.Meta.Cut {
		out = append(out, "the dump is cut: a goroutine that is missing may be the holder or the partner")
	}
	if d.Grouped {
		out = append(out, "a grouped profile prints no addresses and no waiting times; a dump with debug=2 does")
	}
	if len(d.Earlier) == 0 {
		out = append(out, "a second dump, 10 to 30 seconds later, would show whether it lasts")
	}
	return out
}

// NextDumps is the command that collects what Limits misses.
func (d *Dump) NextDumps() []string {
	if !d.Grouped && !d.Meta.Cut && len(d.Earlier) > 0 {
		return nil
	}
	return []string{"for i in 1 2 3; do curl -s 'http://HOST:PORT/debug/pprof/goroutine?debug=2' > goroutine_$i.txt; sleep 15; done"}
}

// LiveIn is a stack that works in one of the packages: running, sleeping or in IO.
// Loops that rest in a select, listeners and the like are none. It is nil if there
// is none.
func (d *Dump) LiveIn(packages []string) *Stack {
	for _, s := range d.Stacks {
		if !s.Kind.Live() || s.Idle != "" || s.Dumper || s.mainAsleep() {
			continue
		}
		for _, i := range s.App {
			if slices.Contains(packages, PackageOf(s.Frames[i].Func)) {
				return s
			}
		}
	}
	return nil
}

// CountedIn is a stack in one of the packages of which most goroutines were only
// counted, so that nobody can say what they hold. It is nil if there is none.
func (d *Dump) CountedIn(packages []string) *Stack {
	for _, s := range d.Stacks {
		if len(s.Counted) > 0 && slices.ContainsFunc(s.App, func(i int) bool { return slices.Contains(packages, PackageOf(s.Frames[i].Func)) }) {
			return s
		}
	}
	return nil
}

// mainAsleep reports whether it is the main goroutine in a plain sleep: programs
// park it so.
func (s *Stack) mainAsleep() bool {
	return s.Kind == Asleep && slices.ContainsFunc(s.Frames, func(f fact.Frame) bool { return f.Func == "main.main" })
}

// ShapesOf groups locks with one verdict by where they are waited for: many
// objects of one type with one fault are one finding. The first of a group blocks
// most.
func (d *Dump) ShapesOf(v Verdict) [][]*Lock {
	var out [][]*Lock
	index := map[string]int{}
	for _, l := range d.Locks {
		if l.Verdict() != v {
			continue
		}
		var sites []string
		for _, s := range l.Stacks() {
			sites = append(sites, s.At(s.Site))
		}
		slices.Sort(sites)
		key := strings.Join(slices.Compact(sites), "|")
		if i, ok := index[key]; ok {
			out[i] = append(out[i], l)
			continue
		}
		if len(out) == maxShapes {
			continue // locks come with most waiters first
		}
		index[key] = len(out)
		out = append(out, []*Lock{l})
	}
	for _, group := range out {
		slices.SortStableFunc(group, func(a, b *Lock) int { return int(b.Blocked - a.Blocked) })
	}
	return out
}

// maxShapes bounds how many kinds of locks with one verdict are told.
const maxShapes = 20

// BlockedBy counts the goroutines that a group of locks blocks.
func BlockedBy(group []*Lock) (n int64) {
	for _, l := range group {
		n += l.Blocked
	}
	return n
}

// MoreLocks is " (and 18 more locks in the same way)" for a group of several.
func MoreLocks(group []*Lock) string {
	if len(group) < 2 {
		return ""
	}
	return fmt.Sprintf(" (and %s in the same way)", join.Count(int64(len(group)-1), "more lock"))
}

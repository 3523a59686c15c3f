package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// A story is a finding that nothing explains and all that it explains, in the
// order of telling: causes before what they cause.
type story struct {
	lead  *analyze.Finding
	steps []step // the lead is the first
	// raised are findings that raised the odds of a step without causing it.
	raised []*analyze.Finding
}

// step is one link of the chain from cause to symptom.
type step struct {
	*analyze.Finding
	number int
	// after are the numbers of the steps that cause this one.
	after []int
	// alike are further findings of the same rule with the same causes; a chain
	// with forty of them would hide its other links.
	alike []*analyze.Finding
}

// follows names the steps that cause this one.
func (st step) follows() string {
	var b strings.Builder
	b.WriteString("follows from step")
	if len(st.after) > 1 {
		b.WriteByte('s')
	}
	for i, n := range st.after {
		switch {
		case i == 0:
			b.WriteByte(' ')
		case i == len(st.after)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// quotes are the places whose text a report has shown: steps of one story often cite
// the same line, and reading it again tells nothing.
type quotes map[fact.Ref]bool

// again reports whether the text of a place was shown before, and notes that it is
// shown now. The same place with another extent has another text.
func (q quotes) again(e analyze.Evidence) bool {
	at := e.Ref
	if e.Excerpt == "" {
		return false
	}
	at.Len = len(e.Excerpt)
	seen := q[at]
	q[at] = true
	return seen
}

// quotedAbove stands in place of a text that was shown before.
const quotedAbove = "(quoted above)"

// gaps are what a step lacks that is worth telling: what a confirmed cause explains
// needs no more.
func (s story) gaps(st step) []string {
	if st.number > 1 && s.settled() {
		return nil
	}
	return st.Missing
}

// settled reports whether nothing more is needed to be sure of the story.
func (s story) settled() bool {
	return s.lead.Role == analyze.RootCause && s.lead.Confidence == analyze.Confirmed
}

// alikeShown is how many findings of one rule with equal causes are told as steps
// of their own.
const alikeShown = 3

// outline is a result in the order in which it is told.
type outline struct {
	*analyze.Result
	stories []story
	// others are the findings that no story tells.
	others []*analyze.Finding
	byID   map[string]*analyze.Finding
	// events is the timeline without repeats.
	events []analyze.TimelineEntry
}

func outlined(r *analyze.Result, full bool) *outline {
	o := &outline{Result: r, byID: map[string]*analyze.Finding{}}
	effects := map[string][]*analyze.Finding{}
	for _, f := range r.Findings {
		o.byID[f.ID] = f
		for _, c := range f.Causes {
			effects[c] = append(effects[c], f)
		}
	}
	o.events = o.once(r.Timeline)
	told := map[string]bool{}
	for _, lead := range r.Leads() {
		s := story{lead: lead}
		chain := o.chain(lead, effects)
		s.steps = number(chain, full)
		for _, f := range chain {
			told[f.ID] = true
			for _, id := range f.Raised {
				if c := o.byID[id]; c != nil && !slices.Contains(s.raised, c) {
					s.raised = append(s.raised, c)
					told[c.ID] = true
				}
			}
		}
		o.stories = append(o.stories, s)
	}
	for _, f := range r.Findings {
		if !told[f.ID] {
			o.others = append(o.others, f)
		}
	}
	return o
}

// once keeps one entry of those at one position and time: several findings may cite
// the same line, each in its words. The one nearest to the cause stays.
func (o *outline) once(list []analyze.TimelineEntry) []analyze.TimelineEntry {
	role := func(e analyze.TimelineEntry) analyze.Role {
		if f := o.byID[e.Finding]; f != nil {
			return f.Role
		}
		return analyze.RoleUnset
	}
	type place struct {
		at   fact.Ref
		when time.Time
	}
	var out []analyze.TimelineEntry
	seen := map[place]int{}
	for _, e := range list {
		p := place{e.Source, e.Time.UTC()}
		i, ok := seen[p]
		switch {
		case !ok:
			seen[p] = len(out)
			out = append(out, e)
		case role(e) > role(out[i]):
			out[i] = e
		}
	}
	return out
}

// chain lists what a finding explains, causes before effects. A circle, which no
// run produces, is cut where it closes.
func (o *outline) chain(lead *analyze.Finding, effects map[string][]*analyze.Finding) []*analyze.Finding {
	seen := map[string]bool{}
	var reversed []*analyze.Finding
	var visit func(f *analyze.Finding)
	visit = func(f *analyze.Finding) {
		if seen[f.ID] {
			return
		}
		seen[f.ID] = true
		next := effects[f.ID]
		for i := len(next) - 1; i >= 0; i-- {
			visit(next[i])
		}
		reversed = append(reversed, f)
	}
	visit(lead)
	slices.Reverse(reversed)
	return reversed
}

// number makes steps of a chain, folding findings that are alike.
func number(chain []*analyze.Finding, full bool) []step {
	var steps []step
	numbers := map[string]int{} // finding to step
	groups := map[string][]int{}
	for _, f := range chain {
		key := f.Rule + "\x00" + strings.Join(f.Causes, "\x00")
		if g := groups[key]; !full && len(g) >= alikeShown {
			last := &steps[g[len(g)-1]]
			last.alike = append(last.alike, f)
			numbers[f.ID] = last.number
			continue
		}
		s := step{Finding: f, number: len(steps) + 1}
		for _, c := range f.Causes {
			if n := numbers[c]; n > 0 && !slices.Contains(s.after, n) {
				s.after = append(s.after, n)
			}
		}
		slices.Sort(s.after)
		numbers[f.ID] = s.number
		groups[key] = append(groups[key], len(steps))
		steps = append(steps, s)
	}
	return steps
}

// rivals lists findings that several stories explain, with their leads: one of
// those explanations may be enough.
func (o *outline) rivals() (list []rivalry) {
	for _, f := range o.Findings {
		var leads []*analyze.Finding
		for _, s := range o.stories {
			if s.lead != f && slices.ContainsFunc(s.steps, func(st step) bool { return st.Finding == f }) {
				leads = append(leads, s.lead)
			}
		}
		if len(leads) < 2 {
			continue
		}
		i := slices.IndexFunc(list, func(r rivalry) bool { return slices.Equal(r.leads, leads) })
		if i < 0 {
			list = append(list, rivalry{leads: leads})
			i = len(list) - 1
		}
		list[i].over = append(list[i].over, f)
	}
	return list
}

// rivalry is a set of root causes that explain the same findings.
type rivalry struct {
	leads []*analyze.Finding
	over  []*analyze.Finding
}

// command is something to run, and why.
type command struct{ text, why string }

// commands lists what to collect next, without repeats: first for the stories,
// then for the other findings.
func (o *outline) commands() []command {
	var out []command
	seen := map[string]bool{}
	add := func(why string, list []string) {
		for _, c := range list {
			c = oneLine(strings.TrimSpace(c))
			if c != "" && !seen[c] {
				seen[c] = true
				out = append(out, command{c, oneLine(why)})
			}
		}
	}
	reason := func(f *analyze.Finding) string {
		if len(f.Missing) > 0 {
			return f.Missing[0]
		}
		return f.Subject
	}
	for _, s := range o.stories {
		for i, st := range s.steps {
			if i > 0 && s.settled() {
				break // what it explains needs no more
			}
			add(reason(st.Finding), st.Next)
		}
	}
	for _, f := range o.others {
		if f.Severity >= analyze.Medium {
			add(reason(f), f.Next)
		}
	}
	return out
}

// wantedGroup is what the bundle lacks, of one worth.
type wantedGroup struct {
	Why string
	// Near: the stories' own rules read them.
	Near  bool
	Items []wantedItem
}

type wantedItem struct{ What, Command string }

// wanted groups what the bundle lacks: what the rules of the stories read first, then
// what others would.
func (o *outline) wanted() []wantedGroup {
	groups := []wantedGroup{
		{Why: "The bundle has none of these, which rules of this story read:", Near: true},
		{Why: "These would show causes or effects from another side:"},
		{Why: "These would let more rules judge:"},
	}
	for _, w := range o.Collect {
		g, what := 0, w.What
		switch w.Worth {
		case analyze.WorthBeside:
			g = 1
		case analyze.WorthRule:
			g = 2
			if n := len(w.Rules); n > 1 {
				what += fmt.Sprintf(" (%d rules)", n)
			}
		}
		if w.Host != "" {
			what += " of " + w.Host
		}
		groups[g].Items = append(groups[g].Items, wantedItem{what, oneLine(w.Command)})
	}
	return slices.DeleteFunc(groups, func(g wantedGroup) bool { return len(g.Items) == 0 })
}

// headline is the verdict's status in words.
func (o *outline) headline() string {
	switch o.Verdict.Status {
	case analyze.StatusRootCause:
		if n := len(o.Verdict.RootCauses); n > 1 {
			return plural(n, "root cause", "root causes") + " found"
		}
		return "Root cause found"
	case analyze.StatusSymptoms:
		return "Symptoms without a cause"
	case analyze.StatusClean:
		return "Nothing wrong found"
	}
	return "Not enough to judge"
}

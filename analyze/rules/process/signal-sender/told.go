package signalsender

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// followWithin is how long after a first signal others of its host belong to the
// same story: a manager that ends its workers, and kills those that stay.
const followWithin = 10 * time.Second

// fromLogs reports ends by a signal that only logs state. Who sent it is known
// only where a sender says so; a sender's own words about why make it the story,
// everything else is what happened and not who did it.
func fromLogs(p *analyze.Pass) {
	var stories [][]*join.Told
	for _, t := range inTime(join.ToldOf(p)) {
		switch {
		case t.Command != nil:
			p.Note("%s: a person typed it", t.Tell())
		case t.Asked != nil:
			p.Note("%s: %s announces it (%s)", t.Tell(), t.Asked.At.Artifact, t.Asked.At)
		default:
			if n := len(stories); n > 0 && follows(p, stories[n-1], t) {
				stories[n-1] = append(stories[n-1], t)
				continue
			}
			stories = append(stories, []*join.Told{t})
		}
	}
	for _, s := range stories {
		reportTold(p, s)
	}
}

// inTime orders ends by host and time, those without a time by their lines.
func inTime(list []*join.Told) []*join.Told {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b *join.Told) int {
		if a.Host != b.Host {
			return strings.Compare(a.Host, b.Host)
		}
		if a.At.IsZero() || b.At.IsZero() {
			return 0
		}
		return a.At.Compare(b.At)
	})
	return out
}

// follows reports whether an end belongs to the story of an earlier one: shortly
// after it, and told by one of its logs.
func follows(p *analyze.Pass, story []*join.Told, t *join.Told) bool {
	if story[0].Host != t.Host || !slices.ContainsFunc(story, func(o *join.Told) bool { return o.First().At.Artifact == t.First().At.Artifact }) {
		return false
	}
	gap, ok := join.ClocksOf(p).Between(story[len(story)-1].First(), t.First())
	return ok && gap <= followWithin
}

func reportTold(p *analyze.Pass, story []*join.Told) {
	t := story[0]
	sender := t.Sender
	if sender == "" && t.Signal != "SIGKILL" && t.Signal != "SIGTERM" {
		return // an abort or a fault is of the process's own making
	}
	f := analyze.Finding{
		Subject:  t.Name,
		Severity: analyze.Low, Confidence: analyze.Likely, From: t.At, To: story[len(story)-1].At,
		Missing: []string{"an audit log with a rule for kill calls: it names the sender of each signal"},
		Next:    []string{analyze.HowToCollect("audit_event")},
		Fix:     "Load the audit rule and wait for the next time; meanwhile ask who or what may end the service: deploy scripts, cron, a manager, a person.",
	}
	signal := t.Signal
	if signal == "" {
		signal = "a signal"
	}
	hurt := harm(p, story)
	switch {
	case sender != "" && t.Reason != nil:
		f.Title = fmt.Sprintf("%s ended %s: %q", sender, t.Name, short(t.Reason.Text))
		f.Fix = fmt.Sprintf("Find why it came to that before %s acted; then judge whether its limit is right.", sender)
		f.Severity = analyze.Medium
		if hurt != "" || len(t.Died)+len(t.Got) > 0 {
			f.Severity = analyze.High
		}
	case sender != "":
		f.Title = fmt.Sprintf("%s says that it ended %s, and nothing says why", sender, t.Name)
		f.Fix = fmt.Sprintf("Read what %s does there.", sender)
	default:
		f.Title = fmt.Sprintf("%s got %s, and nothing in the bundle says who sent it", t.Name, signal)
	}
	if hurt != "" || t.Signal == "SIGKILL" {
		f.Severity = max(f.Severity, analyze.Medium)
	}
	f.Detail = strings.Join(toldDetail(t, story, hurt), "\n\n")
	f.Evidence = toldEvidence(p, story)
	for _, o := range story {
		if o.Victim != nil {
			f.Entities = append(f.Entities, o.Victim.Entity())
		}
	}
	for _, rule := range narrower {
		for _, cause := range p.Findings(rule) {
			if slices.ContainsFunc(cause.Evidence, func(e analyze.Evidence) bool {
				return slices.ContainsFunc(f.Evidence, func(own analyze.Evidence) bool { return own.Ref == e.Ref })
			}) {
				f.Causes = append(f.Causes, cause.ID) // it tells the same end, and why
			}
		}
	}
	p.Report(f)
}

func toldDetail(t *join.Told, story []*join.Told, hurt string) []string {
	out := []string{"Only logs tell of it: the bundle has no audit record of a call that sent it and no message of the kernel's OOM killer. A log shows who noticed the end, which need not be who caused it."}
	if t.Sender == "" {
		out = append(out, "The sender is unknown.")
	}
	if n := len(story) - 1; n > 0 {
		var also []string
		for i, o := range story[1:] {
			if i == 4 {
				also = append(also, fmt.Sprintf("%d more", n-4))
				break
			}
			also = append(also, o.Tell())
		}
		out = append(out, "What followed: "+strings.Join(also, "; ")+".")
	}
	if hurt != "" {
		out = append(out, "It hurt: "+hurt+".")
	}
	return out
}

func toldEvidence(p *analyze.Pass, story []*join.Told) []analyze.Evidence {
	c := join.ClocksOf(p)
	var out []analyze.Evidence
	add := func(l *fact.LogEvent, note string) {
		if len(out) < 8 {
			out = append(out, join.CiteLog(c, l, note+": %s", short(l.Text)))
		}
	}
	t := story[0]
	for _, l := range t.Sent {
		add(l, "the sender's own words")
	}
	if t.Reason != nil {
		add(t.Reason, "why it acted")
	}
	for _, o := range story {
		for _, l := range o.Died {
			add(l, "the end as somebody saw it")
		}
		for _, l := range o.Got {
			add(l, "the signal arrives")
		}
	}
	if v := t.Victim; v != nil && len(v.Rows) > 0 {
		out = append(out, analyze.Cite(v.Rows[0].At, "the target: pid %d", v.PID))
	}
	return out
}

// harm says what shows that a service was missed afterwards, "" if nothing does.
func harm(p *analyze.Pass, story []*join.Told) string {
	t, last := story[0], story[len(story)-1]
	for _, o := range story[1:] {
		if o.Signal == "SIGKILL" {
			return o.Name + " was killed as well"
		}
	}
	h, c := join.HostsOf(p), join.ClocksOf(p)
	gap := restart(p, t)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if h.Of(l.At) != t.Host || l.Errno != "ECONNREFUSED" && l.Errno != "ECONNRESET" && l.Errno != "EADDRINUSE" {
			continue
		}
		since, ok1 := c.Between(t.First(), l)
		after, ok2 := c.Between(last.First(), l)
		if ok1 && ok2 && since >= 0 && since > gap && after <= time.Minute {
			return fmt.Sprintf("%s after it (%s)", l.Errno, l.At)
		}
	}
	v := t.Victim
	if v == nil || !v.Gone || v.Command == "" {
		return ""
	}
	for _, o := range join.ProcessesOf(p).OnHost(t.Host) {
		if o != v && !o.Gone && o.Command == v.Command {
			return ""
		}
	}
	return "nothing runs its command any more in the later process table"
}

// restartWithin is the longest gap that a restart leaves, as in tcp/refused; slack
// is how long clients may still notice it, in logs that know seconds only.
const (
	restartWithin = 10 * time.Second
	slack         = 2 * time.Second
)

// restart is the time after an end for which errors of clients are those of a
// restart: until the log that tells the end says that it listens again.
func restart(p *analyze.Pass, t *join.Told) time.Duration {
	end, c := t.First(), join.ClocksOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if l.At.Artifact != end.At.Artifact || l.At.Line <= end.At.Line || l.Errno != "" || !slices.Contains(l.Signs, fact.SignListen) {
			continue
		}
		if gap, ok := c.Between(end, l); ok && gap <= restartWithin {
			return gap + slack
		}
	}
	return -1
}

func short(s string) string {
	const limit = 120
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

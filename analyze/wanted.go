package analyze

import (
	"cmp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// Wanted is a kind of artifact that a host of the bundle lacks and that would have
// told more of the incident.
type Wanted struct {
	// Host is the host that lacks it, "" in a bundle of one host.
	Host string `json:"host,omitempty"`
	// What it is, in words: "packet capture"; or, where there is such an artifact that
	// says too little, what it lacks.
	What    string `json:"what"`
	Command string `json:"command"`
	// Worth says who would read it.
	Worth Worth `json:"worth"`
	// Rules are those that would, by their IDs.
	Rules []string `json:"rules"`
}

// Worth is how near to the verdict an artifact that is wanted stands.
type Worth string

// The worths, the highest first.
const (
	WorthVerdict Worth = "verdict" // the rule that leads the story reads it
	WorthStory   Worth = "story"   // a rule of what that explains does
	WorthBeside  Worth = "beside"  // a rule that is tied to the leading one by a mechanism, or a person
	WorthRule    Worth = "rule"    // a rule that could not judge
)

var worths = []Worth{WorthVerdict, WorthStory, WorthBeside, WorthRule}

// artifactKind is a kind of artifact as one asks for it.
type artifactKind struct {
	// facts are read from it; the first one names it.
	facts []fact.Kind
	// name replaces what its first kind of fact is called in sentences.
	name string
	// sign stands in every command that collects it.
	sign string
	// shown, if set, are the facts without which it is not there: others of its facts
	// stand in other artifacts too. Without it, any of its facts will do.
	shown []fact.Kind
	// quiet: it is there as well when nothing in it is worth a fact.
	quiet bool
	// shared: one serves all hosts.
	shared bool
}

var artifactKinds = []artifactKind{
	{facts: []fact.Kind{"goroutine", "dump"}, name: "goroutine dump (Go)", sign: "debug/pprof/goroutine", shown: []fact.Kind{"goroutine"}},
	{facts: []fact.Kind{"thread"}, sign: "gdb "},
	{facts: []fact.Kind{"trace"}, sign: "strace "},
	{facts: []fact.Kind{"socket", "socket_table"}, sign: "ss -tanp"},
	{facts: []fact.Kind{"flow", "capture"}, sign: "tcpdump "},
	{facts: []fact.Kind{"process_table", "process"}, sign: "ps ax", shown: []fact.Kind{"process_table"}},
	{facts: []fact.Kind{"audit_event", "audit_trail"}, sign: "audit.log"},
	{facts: []fact.Kind{"log_event", "log_shape"}, sign: "journalctl -u"},
	{facts: []fact.Kind{"kernel_event"}, name: "kernel log", sign: "dmesg", quiet: true},
	{facts: []fact.Kind{"counter"}, sign: "nstat "},
	{facts: []fact.Kind{"open_file"}, sign: "lsof "},
	{facts: []fact.Kind{"limit"}, sign: "/limits"},
	{facts: []fact.Kind{"profile", "profile_site"}, sign: "debug/pprof/mutex"},
	{facts: []fact.Kind{"metric"}, sign: "/io;"},
	{facts: []fact.Kind{"command_run"}, sign: "history"},
	{facts: []fact.Kind{"source_call"}, sign: "_SOURCE", shared: true},
	{facts: []fact.Kind{"expected", "baseline", "deviation"}, sign: "INVENTORY", shared: true},
	{facts: []fact.Kind{"audit_status"}, sign: "auditctl -s"},
	{facts: []fact.Kind{"account"}, sign: "passwd"},
	{facts: []fact.Kind{"host_info"}, sign: "uname "},
}

// words is what it is called.
func (k artifactKind) words() string { return cmp.Or(k.name, kindWords(k.facts[0])) }

// in reports whether an artifact is of this kind.
func (k artifactKind) in(a fact.Artifact) bool {
	shown := k.facts
	if k.shown != nil {
		shown = k.shown
	}
	return k.quiet && a.Main == k.facts[0] || slices.ContainsFunc(shown, func(f fact.Kind) bool { return slices.Contains(a.Kinds, f) })
}

// around is what shows an entity beyond what the rules declare, by its kind: who a
// process is and what it holds, who stands behind an address.
var around = map[string][]fact.Kind{
	"process":  {"process_table", "socket", "log_event", "open_file", "limit"},
	"endpoint": {"socket", "process_table", "flow"},
	"flow":     {"socket", "process_table"},
}

// wishes collects what a bundle lacks.
type wishes struct {
	run    *runState
	rules  map[string]*Rule
	hostOf func(fact.ID) string
	// have holds what each host has, under "" what any has.
	have map[holding]bool
	list map[wish]*Wanted
}

type holding struct {
	host string
	kind int // of artifactKinds
}

// wish is one line of the list.
type wish struct {
	holding
	what string
}

// wanted lists what would have told more: for each story what its rules read and its
// hosts lack, without a root cause also what rules lacked that could not judge.
func (s *runState) wanted(res *Result, g *causes, cfg *Config) []Wanted {
	w := &wishes{run: s, rules: map[string]*Rule{}, have: map[holding]bool{}, list: map[wish]*Wanted{}}
	for _, r := range cfg.Rules {
		w.rules[r.ID] = r
	}
	w.hosts(cfg)
	for _, lead := range res.Leads() {
		w.story(lead, g, cfg.Rules)
	}
	if res.Verdict.Status != StatusRootCause {
		for _, st := range s.statuses {
			w.unjudged(st)
		}
	}
	out := []Wanted{}
	for _, x := range w.list {
		slices.Sort(x.Rules)
		out = append(out, *x)
	}
	slices.SortFunc(out, compareWanted)
	return out
}

func compareWanted(a, b Wanted) int {
	return cmp.Or(
		cmp.Compare(slices.Index(worths, a.Worth), slices.Index(worths, b.Worth)),
		cmp.Compare(len(b.Rules), len(a.Rules)),
		cmp.Compare(a.What, b.What), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Command, b.Command),
	)
}

// hosts notes what each host has.
func (w *wishes) hosts(cfg *Config) {
	arts := w.run.store.View("wanted").Artifacts()
	named := map[fact.ID]string{}
	for _, a := range arts {
		named[a.ID] = a.Host
	}
	w.hostOf = func(id fact.ID) string { return named[id] }
	if cfg.Hosts != nil {
		w.hostOf = cfg.Hosts(&Pass{Facts: w.run.store.View("wanted"), Manifest: w.run.manifest, rule: &Rule{ID: "wanted"}, run: w.run})
	}
	for i, k := range artifactKinds {
		for _, a := range arts {
			if k.in(a) {
				w.have[holding{w.hostOf(a.ID), i}] = true
				w.have[holding{"", i}] = true
			}
		}
		// The manifest's inventory and the baseline come from no artifact.
		if slices.ContainsFunc(k.facts, func(f fact.Kind) bool { return k.shared && w.run.store.Count(f) > 0 }) {
			w.have[holding{"", i}] = true
		}
	}
}

// story asks for what the rules of one story read, for what shows the entities of its
// lead, and for what rules read that are tied to the lead by a mechanism: they would
// show its cause or its effect.
func (w *wishes) story(lead *Finding, g *causes, rules []*Rule) {
	r := w.rules[lead.Rule]
	if r == nil {
		return
	}
	w.ask(lead, lead, r, r.kinds(), WorthVerdict)
	for _, f := range g.explainedBy(lead) {
		if r := w.rules[f.Rule]; r != nil {
			w.ask(lead, f, r, r.kinds(), WorthStory)
		}
	}
	for _, e := range lead.Entities {
		w.ask(lead, lead, r, around[e.Kind], WorthBeside)
	}
	for _, o := range neighbours(r, rules) {
		w.ask(lead, lead, o, slices.Concat(o.Needs, o.AnyOf), WorthBeside)
	}
}

// ask adds the kinds of artifacts with such facts that the hosts of a finding lack,
// unless the lead asks for the like already.
func (w *wishes) ask(lead, f *Finding, r *Rule, kinds []fact.Kind, worth Worth) {
	for _, host := range w.hostsOf(f) {
		for _, k := range kinds {
			i := slices.IndexFunc(artifactKinds, func(a artifactKind) bool { return slices.Contains(a.facts, k) })
			if i < 0 {
				continue
			}
			a, at := artifactKinds[i], holding{host, i}
			if a.shared {
				at.host = ""
			}
			asked := slices.ContainsFunc(lead.Next, func(c string) bool { return strings.Contains(c, a.sign) })
			if !asked && !w.have[at] {
				w.add(wish{holding: at, what: a.words()}, collect(r, k), worth, r.ID)
			}
		}
	}
}

// hostsOf are the hosts that a finding's evidence comes from.
func (w *wishes) hostsOf(f *Finding) []string {
	var out []string
	for _, e := range f.Evidence {
		if h := w.hostOf(e.Artifact); !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// unjudged asks for what a skipped rule lacked: whole kinds of artifacts, or better
// ones than there are.
func (w *wishes) unjudged(st RuleStatus) {
	r := w.rules[st.ID]
	if st.Status != RuleSkipped || r == nil {
		return
	}
	kinds := w.run.missing(r)
	if len(kinds) == 0 {
		w.add(wish{what: st.Why, holding: holding{kind: -1}}, strings.Join(st.Next, "; "), WorthRule, st.ID)
	}
	for _, k := range kinds {
		i := slices.IndexFunc(artifactKinds, func(a artifactKind) bool { return slices.Contains(a.facts, k) })
		if i >= 0 {
			w.add(wish{holding: holding{"", i}, what: artifactKinds[i].words()}, collect(r, k), WorthRule, st.ID)
		}
	}
}

// add is one more rule that would read an artifact. The command of the first one
// stands, and the best worth.
func (w *wishes) add(key wish, command string, worth Worth, rule string) {
	if command == "" {
		return
	}
	have := w.list[key]
	if have == nil {
		have = &Wanted{Host: key.host, What: key.what, Command: command, Worth: worth}
		w.list[key] = have
	}
	if slices.Index(worths, worth) < slices.Index(worths, have.Worth) {
		have.Worth = worth
	}
	if !slices.Contains(have.Rules, rule) {
		have.Rules = append(have.Rules, rule)
	}
}

// neighbours are the rules that may explain what a rule finds, those whose
// findings it explains, and those that a composite joins with it, by their IDs.
func neighbours(r *Rule, rules []*Rule) []*Rule {
	var ids []string
	for _, m := range r.ExplainedBy {
		ids = append(ids, m.Rule)
	}
	for _, o := range rules {
		if slices.ContainsFunc(o.ExplainedBy, func(m Mechanism) bool { return m.Rule == r.ID }) {
			ids = append(ids, o.ID)
		}
		if slices.Contains(o.After, r.ID) {
			ids = append(ids, o.After...)
		}
	}
	out := slices.DeleteFunc(slices.Clone(rules), func(o *Rule) bool { return o == r || !slices.Contains(ids, o.ID) })
	slices.SortFunc(out, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
	return out
}

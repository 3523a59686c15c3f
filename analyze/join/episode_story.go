package join

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// KindSignal is the entity of one audited signal; the rules that classify signals
// share it. Its key is the position of the record.
const KindSignal = "signal"

// Entity is the signal's identity.
func (k *Kill) Entity() analyze.Entity {
	return analyze.Entity{Kind: KindSignal, Key: k.Event.At.String(), Name: k.Tell()}
}

// Story is what the rules tell of an episode besides its class.
type Story struct {
	// Followed and Left are sentences; empty where there is nothing to tell.
	Followed, Left string
	Evidence       []analyze.Evidence
	Entities       []analyze.Entity
	// Harm says why a service was hurt, "" if nothing shows that.
	Harm string
	// Ports are those that survivors keep.
	Ports []string
}

// maxCited bounds the answers and log lines cited of one episode.
const maxCited = 6

// Targets names what the signal was sent to: "pid 3 (a) and 2 more".
func (e *Episode) Targets() string {
	n := len(e.Root.Targets)
	if n == 0 {
		if arg := e.Root.Event.TargetArg; arg.Known {
			return fmt.Sprintf("pid %d", arg.V)
		}
		return "an unknown process"
	}
	words := fmt.Sprintf("pid %d%s", e.Root.Targets[0].PID, named(e.Root.Targets[0]))
	var more []*Process
	for _, k := range slices.Concat([]*Kill{e.Root}, e.Also) {
		for _, t := range k.Targets {
			if t != e.Root.Targets[0] && !slices.Contains(more, t) {
				more = append(more, t)
			}
		}
	}
	if len(more) > 0 {
		words += fmt.Sprintf(" and %d more", len(more))
	}
	if arg := e.Root.Event.TargetArg; arg.Known && arg.V < -1 {
		words += fmt.Sprintf(" (process group %d)", -arg.V)
	}
	return words
}

// Tell collects what an episode did: the signals passed on, the ends that logs
// state, who is gone, who was left behind with which port.
func (e *Episode) Tell(p *analyze.Pass) Story {
	c := ClocksOf(p)
	s := Story{Evidence: e.Root.Cite()}
	for _, k := range slices.Concat([]*Kill{e.Root}, e.Also, e.Answers) {
		s.Entities = append(s.Entities, k.Entity())
	}
	s.Entities = append(s.Entities, e.Root.Sender.Entity())
	for _, v := range e.Victims {
		s.Entities = append(s.Entities, v.Entity())
	}
	e.tellRows(&s)
	for i, k := range slices.Concat(e.Also, e.Answers) {
		if i == maxCited {
			break
		}
		s.Evidence = append(s.Evidence, k.CiteShort())
	}
	for i, l := range e.Ended {
		if i == maxCited {
			break
		}
		s.Evidence = append(s.Evidence, CiteLog(c, l, "%s says: %s", l.At.Artifact, short(l.Text)))
	}
	s.Followed = e.followed()
	e.tellSurvivors(p, c, &s)
	s.Harm = e.harm(p, c, &s)
	return s
}

// tellRows cites the process table rows of sender and first victim.
func (e *Episode) tellRows(s *Story) {
	if r := e.Root.Sender.Rows; len(r) > 0 {
		s.Evidence = append(s.Evidence, analyze.Cite(r[0].At, "the sender: pid %d, parent %d", r[0].PID, r[0].PPID.V))
	}
	for i, t := range e.Root.Targets {
		if i == 2 || len(t.Rows) == 0 {
			break
		}
		s.Evidence = append(s.Evidence, analyze.Cite(t.Rows[0].At, "the target: pid %d, parent %d", t.Rows[0].PID, t.Rows[0].PPID.V))
	}
}

func (e *Episode) followed() string {
	var parts []string
	if n := len(e.Also); n > 0 {
		parts = append(parts, fmt.Sprintf("the sender went on with %s (%s)", Count(n, "more signal"), e.Also[n-1].Tell()))
	}
	if n := len(e.Answers); n > 0 {
		what := make([]string, 0, 3)
		for i, k := range e.Answers {
			if i == 3 {
				what = append(what, fmt.Sprintf("%d more", n-3))
				break
			}
			what = append(what, k.Tell())
		}
		parts = append(parts, "the target passed it on: "+strings.Join(what, "; "))
	}
	if n := len(e.Gone); n > 0 {
		parts = append(parts, fmt.Sprintf("%s later lacks %s", e.Later.At.Artifact, pids(e.Gone)))
	}
	if n := len(e.Replaced); n > 0 {
		parts = append(parts, fmt.Sprintf("%s run%s the same command instead", pids(e.Replaced), verb(n)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "What followed: " + strings.Join(parts, "; ") + "."
}

// tellSurvivors tells of processes that outlived the target they belonged to, and
// of the ports that they keep.
func (e *Episode) tellSurvivors(p *analyze.Pass, c *Clocks, s *Story) {
	if len(e.Survivors) == 0 {
		return
	}
	var ports []string
	for _, sock := range SocketsOf(p).All {
		if sock.Host != e.Root.Host || !sock.Listening() || sock.Proto != "tcp" {
			continue
		}
		for _, o := range sock.Owners {
			if !slices.Contains(e.Survivors, o) {
				continue
			}
			ports = append(ports, sock.Local.String())
			s.Evidence = append(s.Evidence, analyze.Cite(sock.Row().At, "survivor pid %d still listens on %s", o.PID, sock.Local))
			s.Entities = append(s.Entities, Port(e.Root.Host, int(sock.Local.Port())), Endpoint(e.Root.Host, sock.Local))
		}
	}
	slices.Sort(ports)
	s.Ports = slices.Compact(ports)
	for i, v := range e.Survivors {
		s.Entities = append(s.Entities, v.Entity())
		if row := lastRow(v, e.Later); row != nil && i < 2 {
			s.Evidence = append(s.Evidence, analyze.Cite(row.At, "left behind: pid %d, now a child of %d", v.PID, row.PPID.V))
		}
	}
	s.Left = fmt.Sprintf("The signal ended only pid %d%s; the tree below it, %s, survived as %s", e.Root.Targets[0].PID, shellWords(e.Root.Targets[0]), pids(e.Survivors), orphans(len(e.Survivors)))
	if len(s.Ports) > 0 {
		s.Left += " and keep" + verb(len(e.Survivors)) + " " + strings.Join(s.Ports, ", ")
		if l := e.portError(p, c, s); l != nil {
			s.Left += fmt.Sprintf(", so that a restarted instance fails with EADDRINUSE (%s)", l.At)
			s.Evidence = append(s.Evidence, CiteLog(c, l, "EADDRINUSE on a port that the orphan keeps: %s", short(l.Text)))
		}
	}
	s.Left += "."
}

// portError is the first EADDRINUSE about a port that a survivor keeps.
func (e *Episode) portError(p *analyze.Pass, c *Clocks, s *Story) *fact.LogEvent {
	h := HostsOf(p)
	for l := range fact.All[fact.LogEvent](p.Facts) {
		if l.Errno != "EADDRINUSE" || h.Of(l.At) != e.Root.Host {
			continue
		}
		if at, _, ok := c.UTC(l.At.Artifact, l.Time); ok && !e.Root.At.IsZero() && at.Before(e.Root.At) {
			continue
		}
		for _, a := range l.Addresses {
			for _, port := range s.Ports {
				if a == port || strings.HasSuffix(port, a[strings.LastIndexByte(a, ':')+1:]) && strings.Contains(a, ":") {
					return l
				}
			}
		}
	}
	return nil
}

// harm says what shows that a service was hurt.
func (e *Episode) harm(p *analyze.Pass, c *Clocks, s *Story) string {
	switch {
	case !e.Known && !e.Unlisted:
		return ""
	case len(s.Ports) > 0:
		return "what it left behind keeps the service's port"
	case len(e.Gone) > 0:
		return fmt.Sprintf("%s of the service ended", pids(e.Gone))
	case e.Root.harsh():
		return e.Root.Signal + " leaves its target no time to finish"
	}
	for _, l := range e.Ended {
		if slices.Contains(l.Signs, fact.SignStop) {
			return fmt.Sprintf("%s states the end of the target", l.At)
		}
	}
	if len(e.Answers) > 0 {
		return "the target ended its own children in answer"
	}
	return ""
}

// Serves reports whether a victim looks like a service: it owns a socket, writes a
// log, or a log states its end.
func (e *Episode) Serves(p *analyze.Pass) bool {
	if len(e.Ended) > 0 || slices.ContainsFunc(e.Victims, func(v *Process) bool { return len(v.Logs) > 0 }) {
		return true
	}
	return slices.ContainsFunc(SocketsOf(p).All, func(s *Socket) bool {
		return s.Host == e.Root.Host && slices.ContainsFunc(s.Owners, func(o *Process) bool { return slices.Contains(e.Victims, o) })
	})
}

func lastRow(p *Process, t *fact.ProcessTable) *fact.Process {
	for _, r := range p.Rows {
		if t != nil && r.At.Artifact == t.At.Artifact {
			return r
		}
	}
	return nil
}

func shellWords(p *Process) string {
	argv := strings.Fields(p.Command)
	if len(argv) >= 2 && argv[1] == "-c" {
		return fmt.Sprintf(", which is only the shell %s -c", argv[0])
	}
	return named(p)
}

// pids lists processes: "pid 3 (a), 4 (b) and 2 more".
func pids(list []*Process) string {
	var out []string
	for i, p := range list {
		if i == 4 {
			out = append(out, fmt.Sprintf("%d more", len(list)-4))
			break
		}
		out = append(out, fmt.Sprintf("%d%s", p.PID, named(p)))
	}
	return "pid " + strings.Join(out, ", ")
}

func orphans(n int) string {
	if n == 1 {
		return "an orphan"
	}
	return "orphans"
}

func verb(n int) string {
	if n == 1 {
		return "s"
	}
	return ""
}

// short cuts a log text for a note.
func short(s string) string {
	const limit = 160
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

package redact

import (
	"path"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// names are the names of hosts and users that the bundle shows, in lower case.
type names struct {
	sort     map[string]string // name to "host" or "user"
	programs map[string]bool
}

// system are accounts and hosts that every system has; they name nobody.
var system = func() map[string]bool {
	out := map[string]bool{}
	for _, n := range strings.Fields(`root daemon bin sys sync nobody nogroup man mail news proxy backup list irc games lp uucp adm wheel users
		www-data www http apache nginx mysql postgres redis rabbitmq kafka mongodb elasticsearch zookeeper haproxy envoy docker containerd
		systemd messagebus dbus polkitd syslog sshd ntp chrony tcpdump node java python app service admin user unset unknown none
		localhost localdomain host gateway proxy server client default linux
		process session service account name password user login member owner guest anonymous test api web data error failed found
		invalid input logged request agent connection timeout true false yes not the and for was has with from into this that one all
		any new old id key value type state main worker thread closed open opened denied allowed required missing empty string number
		object`) {
		out[n] = true
	}
	return out
}()

func namesOf(p *analyze.Pass) *names {
	n := &names{sort: map[string]string{}, programs: map[string]bool{}}
	for _, pr := range join.ProcessesOf(p).All {
		for _, w := range strings.Fields(pr.Name() + " " + pr.Comm) {
			n.programs[strings.ToLower(path.Base(w))] = true
		}
	}
	h := join.HostsOf(p)
	n.host(h.Title)
	for _, name := range h.Names {
		n.host(name)
	}
	for i := range fact.All[fact.HostInfo](p.Facts) {
		if i.Name == "hostname" {
			n.host(i.Value)
		}
	}
	for e := range fact.All[fact.AuditEvent](p.Facts) {
		n.host(e.Node)
	}
	for e := range fact.All[fact.Expected](p.Facts) {
		if (e.What == "peer" || e.What == "retired") && strings.ContainsAny(e.Name, "0123456789") {
			n.host(e.Name)
		}
	}
	for r := range fact.All[fact.Process](p.Facts) {
		n.user(r.User)
	}
	for f := range fact.All[fact.OpenFile](p.Facts) {
		n.user(f.User)
	}
	for s := range fact.All[fact.Socket](p.Facts) {
		n.user(s.User)
	}
	for c := range fact.All[fact.CommandRun](p.Facts) {
		n.user(c.User)
	}
	for a := range fact.All[fact.Account](p.Facts) {
		n.user(a.Name)
	}
	n.fromFacts(p)
	return n
}

// host notes a host's name; one with a domain is also known without it.
func (n *names) host(name string) {
	name = strings.ToLower(strings.Trim(strings.TrimSpace(name), "."))
	short, _, _ := strings.Cut(name, ".")
	for _, s := range []string{name, short} {
		if len(s) >= 2 && !system[s] && strings.Trim(s, "0123456789.:") != "" {
			n.sort[s] = "host"
		}
	}
}

// user notes a person's account. Accounts of the system and of services, which are
// called like their program, name nobody; ps cuts long names with a plus sign.
func (n *names) user(name string) {
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "+"))
	if len(name) < 2 || system[name] || strings.HasPrefix(name, "systemd-") || strings.HasPrefix(name, "_") || n.programs[name] ||
		strings.Trim(name, "0123456789") == "" || n.sort[name] != "" {
		return
	}
	n.sort[name] = "user"
}

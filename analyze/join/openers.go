package join

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// Opener is a process that opens connections to an address, and what says so.
type Opener struct {
	Process *Process
	Link    Link
	At      fact.Ref
}

// Openers finds who opens connections to an address, also when no socket of it is
// left: sockets in TIME_WAIT have no owner.
type Openers struct {
	hosts   *Hosts
	sockets *Sockets
	procs   *Processes
	flows   *Flows
	failed  map[openKey][]*fact.LogEvent
	writers map[fact.ID]Opener
}

type openKey struct {
	host string
	at   netip.AddrPort
}

var openers = analyze.Derived[*Openers]{
	Name:  "openers",
	Needs: []fact.Kind{"log_event", "log"},
	Build: buildOpeners,
}

// OpenersOf returns who opens connections in the bundle.
func OpenersOf(p *analyze.Pass) *Openers { return openers.Of(p) }

func buildOpeners(p *analyze.Pass) *Openers {
	o := &Openers{
		hosts: HostsOf(p), sockets: SocketsOf(p), procs: ProcessesOf(p), flows: FlowsOf(p),
		failed: map[openKey][]*fact.LogEvent{}, writers: map[fact.ID]Opener{},
	}
	for l := range fact.All[fact.Log](p.Facts) {
		if w, ok := o.writer(l); ok {
			o.writers[l.At.Artifact] = w
		}
	}
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if e.Errno == "" || e.Syscall != "" && e.Syscall != "connect" {
			continue
		}
		for _, a := range e.Addresses {
			if ap, ok := ParseAddrPort(a); ok && ap.Port() != 0 {
				key := openKey{o.hosts.Of(e.At), ap}
				o.failed[key] = append(o.failed[key], e)
			}
		}
	}
	return o
}

// writer is the process that writes a log: the one that the log names as itself,
// else the only one whose script or program is called like the log.
func (o *Openers) writer(l *fact.Log) (Opener, bool) {
	host := o.hosts.Of(l.At)
	if len(l.PIDs) == 1 {
		if pr := o.procs.Get(host, l.PIDs[0]); pr != nil {
			return Opener{pr, Link{"its log states pid " + strconv.Itoa(pr.PID), analyze.Likely}, l.At}, true
		}
	}
	var found *Process
	for _, pr := range o.procs.OnHost(host) {
		if !CalledLike(pr, l.At.Artifact) {
			continue
		}
		if found != nil {
			return Opener{}, false
		}
		found = pr
	}
	if found == nil || len(l.PIDs) > 0 && !slices.Contains(l.PIDs, found.PID) {
		// A log that states other pids is that of other runs of the program.
		return Opener{}, false
	}
	return Opener{found, Link{"its log " + path.Base(string(l.At.Artifact)) + " is called like it", analyze.Possible}, l.At}, true
}

// CalledLike reports whether an artifact is called like a program or script of the
// process's command line: "orderapi.log" like "/opt/bin/orderapi :9191", and
// "stunnel.log" like "stunnel4".
func CalledLike(pr *Process, id fact.ID) bool {
	stem, _, _ := strings.Cut(path.Base(string(id)), ".")
	if len(stem) < 3 {
		return false
	}
	for _, w := range append(strings.Fields(pr.Command), pr.Name()) {
		base := path.Base(w)
		name, _, _ := strings.Cut(base, ".")
		if strings.EqualFold(name, stem) || strings.EqualFold(strings.TrimRight(name, "0123456789"), stem) {
			return true
		}
	}
	return false
}

// Writer is the process that writes a log artifact. ok is false if nothing ties it
// to one.
func (o *Openers) Writer(id fact.ID) (Opener, bool) {
	w, ok := o.writers[id]
	return w, ok
}

// WriterOf is the process that wrote a log event.
func (o *Openers) WriterOf(e *fact.LogEvent) (Opener, bool) {
	if e.PID.Known {
		if pr := o.procs.Get(o.hosts.Of(e.At), int(e.PID.V)); pr != nil {
			return Opener{pr, Link{"the line names its pid", analyze.Confirmed}, e.At}, true
		}
	}
	return o.Writer(e.At.Artifact)
}

// Failed are log events that report a failed connection to an address.
func (o *Openers) Failed(host string, at netip.AddrPort) []*fact.LogEvent {
	return o.failed[openKey{host, at}]
}

// Of finds the process that opens connections from a host to an address: the owner
// of one, else the writer of a log that reports failed ones, else the only process
// whose command line names the address and that does not serve it.
func (o *Openers) Of(host string, at netip.AddrPort) (Opener, bool) {
	for _, k := range o.sockets.All {
		if k.Host == host && k.Remote == at && k.Owner() != nil {
			return Opener{k.Owner(), Link{"it owns a connection to " + at.String(), analyze.Confirmed}, ownerRow(k)}, true
		}
	}
	named, haveNamed := o.named(host, at)
	for _, e := range o.Failed(host, at) {
		if w, ok := o.WriterOf(e); ok && !o.serves(w.Process, at) {
			if haveNamed && named.Process == w.Process {
				w.Link = Link{"its log reports failed connections there and its command line names the address", analyze.Likely}
			}
			w.At = e.At
			return w, true
		}
	}
	return named, haveNamed
}

func (o *Openers) serves(pr *Process, at netip.AddrPort) bool {
	l := o.sockets.Listener(pr.Host, "tcp", at)
	if l != nil && len(l.Owners) > 0 {
		return slices.Contains(l.Owners, pr)
	}
	end := o.flows.At(pr.Host, "tcp", at)
	return end.Process != nil && end.Process.PID == pr.PID && end.Link.Sure > analyze.Possible
}

// named finds the process whose command line names the address. Where several do,
// one that names another address the host listens on as well is a proxy between
// the two, and the others are the service itself.
func (o *Openers) named(host string, at netip.AddrPort) (Opener, bool) {
	var all, proxies []*Process
	for _, pr := range o.procs.OnHost(host) {
		if o.serves(pr, at) || !NamesAddress(pr.Command, at) {
			continue
		}
		all = append(all, pr)
		if o.namesFront(pr, at) {
			proxies = append(proxies, pr)
		}
	}
	by := "its command line names " + at.String()
	if len(all) > 1 && len(proxies) == 1 {
		all = proxies
		by += " and an address of its own"
	}
	if len(all) != 1 {
		return Opener{}, false
	}
	ref, ok := all[0].Cite()
	return Opener{all[0], Link{by, analyze.Possible}, ref}, ok
}

// namesFront reports whether a command line names another address that the host
// listens on.
func (o *Openers) namesFront(pr *Process, at netip.AddrPort) bool {
	for _, k := range o.sockets.All {
		if k.Host == pr.Host && k.State == fact.StateListen && k.Local.Port() != at.Port() && NamesAddress(pr.Command, k.Local) {
			return true
		}
	}
	return false
}

// NamesAddress reports whether a command line names an address: as one word
// "127.0.0.1:6379" (also inside a URL or an option), or as two words one after the
// other, "127.0.0.1 6379".
func NamesAddress(command string, at netip.AddrPort) bool {
	host, port := at.Addr().String(), strconv.Itoa(int(at.Port()))
	words := strings.FieldsFunc(command, func(r rune) bool {
		return r == ' ' || r == '\t' || r == '=' || r == ',' || r == '/' || r == '@' || r == '"' || r == '\''
	})
	for i, w := range words {
		if w == at.String() || at.Addr().IsLoopback() && w == "localhost:"+port {
			return true
		}
		same := w == host || at.Addr().IsLoopback() && w == "localhost"
		if same && i+1 < len(words) && words[i+1] == port {
			return true
		}
	}
	return false
}

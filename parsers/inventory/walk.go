package inventory

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/internal/tree"
)

// walker turns the tree into expectations.
type walker struct {
	out   *analyze.Sink
	lines *tree.Lines
	found int
}

// place is where in the tree a value stands.
type place struct {
	path    string
	key     string
	name    string // of the entry around it
	retired bool   // below a heading that says so
	address bool   // the entry around it has an address
}

// memberWords are keys of lists of members.
var memberWords = [...]string{"node", "peer", "member", "host", "instance", "server", "backend", "upstream", "replica", "worker"}

// namesMember reports whether a value stands where a list of members has its names.
func (at place) namesMember() bool {
	if at.address {
		return false
	}
	switch low := strings.ToLower(at.key); {
	case strings.HasSuffix(at.path, "]"):
	case low == "name" || low == "hostname" || low == "host" || low == "id" || low == "node" || low == "instance":
		if !strings.Contains(at.path, "]") {
			return false
		}
	default:
		return false
	}
	top, _, _ := strings.Cut(strings.ToLower(at.path), "[")
	for _, m := range memberWords {
		if strings.Contains(top, m) {
			return true
		}
	}
	return false
}

// isHostName reports whether a text can be a host's name.
func isHostName(s string) bool {
	return len(s) >= 2 && len(s) <= 253 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_.") == "" && strings.ContainsAny(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz")
}

// retiredWords in a key or a status mean that the entry should not be there.
var retiredWords = [...]string{"retired", "decommission", "removed", "disabled", "drained", "legacy", "obsolete", "terminated", "offline", "inactive", "deprecated", "blocked", "deny"}

func retired(s string) bool {
	s = strings.ToLower(s)
	for _, w := range retiredWords {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func (w *walker) walk(n *tree.Node, at place) {
	switch n.Kind {
	case tree.Scalar:
		w.value(n, at)
	case tree.List:
		for i, item := range n.Items {
			in := at
			in.path, in.address = fmt.Sprintf("%s[%d]", at.path, i), false
			w.walk(item, in)
		}
	case tree.Mapping:
		name := ""
		for _, k := range [...]string{"name", "hostname", "id", "node", "host", "instance"} {
			if v := n.Get(k); v != "" && name == "" && len(addresses(v)) == 0 {
				name = v
			}
		}
		gone := at.retired
		for _, k := range [...]string{"status", "state", "lifecycle", "phase"} {
			gone = gone || retired(n.Get(k))
		}
		gone = gone || n.Get("enabled") == "false" || n.Get("active") == "false"
		for i, k := range n.Keys {
			in := place{path: k, key: k, name: name, retired: gone || retired(k), address: hasAddress(n)}
			if at.path != "" {
				in.path = at.path + "." + k
			}
			if name == "" && n.Items[i].Kind != tree.Scalar {
				in.name = k
			} else if name == "" {
				in.name = at.name
			}
			// "10.40.0.11: {name: push-01}" has the address for its key.
			if _, ok := peerValue(k); ok {
				w.peer(k, n.Items[i].Line, in)
			}
			w.walk(n.Items[i], in)
		}
	}
}

// hasAddress reports whether one of the values of a mapping holds an address.
func hasAddress(n *tree.Node) bool {
	for i, k := range n.Keys {
		if len(addresses(k)) > 0 || n.Items[i].Kind == tree.Scalar && len(addresses(n.Items[i].Text)) > 0 {
			return true
		}
	}
	return false
}

// value makes an expectation of a scalar: an address is a peer, a version a
// version, and a few other words are settings that logs repeat.
func (w *walker) value(n *tree.Node, at place) {
	text := strings.TrimSpace(n.Text)
	if text == "" {
		return
	}
	if list := addresses(text); len(list) > 0 {
		for _, a := range list {
			w.peer(a, n.Line, at)
		}
		return
	}
	key := strings.ToLower(at.key)
	what := ""
	switch {
	case strings.Contains(key, "version") || key == "release" || key == "tag" || key == "image":
		what = "version"
	case key == "topic" || key == "cluster" || key == "environment" || key == "env" || key == "region":
		what = "setting"
	case key == "port" || key == "listen" || strings.HasSuffix(key, "_port"):
		if _, err := strconv.ParseUint(text, 10, 16); err == nil {
			what = "listener"
		}
	}
	if what == "" && at.namesMember() && isHostName(text) {
		// A member that is listed by name only; logs may tell its address.
		w.peer(text, n.Line, place{path: at.path, name: text, retired: at.retired})
		return
	}
	if what != "" {
		w.emit(fact.Expected{At: w.lines.Ref(n.Line), What: what, Name: at.key, Value: text, Path: at.path})
	}
}

func (w *walker) peer(value string, line int, at place) {
	e := fact.Expected{At: w.lines.Ref(line), What: "peer", Name: at.name, Value: value, Path: at.path}
	if e.Name == "" {
		e.Name = at.key
	}
	switch {
	case at.retired:
		e.What = "retired"
	case strings.Contains(strings.ToLower(at.path), "listen") && hasPort(value):
		e.What = "listener"
	}
	w.emit(e)
}

// hasPort reports whether a value is an address with its port.
func hasPort(value string) bool {
	_, err := netip.ParseAddrPort(value)
	return err == nil
}

func (w *walker) emit(e fact.Expected) {
	w.found++
	analyze.Emit(w.out, e)
}

// plain reads a list of lines: one or more addresses a line, the first word that
// is none its name; "#" begins a comment, "[words]" a heading.
func (w *walker) plain(src []byte) {
	heading := ""
	for i, line := range strings.Split(string(src), "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			heading = strings.Trim(line, "[]")
			continue
		}
		name := ""
		for _, f := range strings.FieldsFunc(line, isSeparator) {
			if _, ok := peerValue(f); !ok && name == "" && f != "-" && !strings.ContainsAny(f, "=:") {
				name = f
			}
		}
		for _, a := range addresses(line) {
			w.peer(a, i+1, place{path: heading, key: heading, name: name, retired: retired(heading) || retired(line)})
		}
	}
}

func isSeparator(r rune) bool {
	return r == ' ' || r == '\t' || r == ',' || r == ';' || r == '|' || r == '"' || r == '\''
}

// addresses are the addresses, addresses with port and prefixes in a text.
func addresses(s string) []string {
	if !strings.ContainsAny(s, ".:") {
		return nil
	}
	var out []string
	for _, f := range strings.FieldsFunc(s, isSeparator) {
		if _, v, ok := strings.Cut(f, "="); ok {
			f = v // ansible_host=10.40.0.11
		}
		if _, rest, ok := strings.Cut(f, "://"); ok {
			f, _, _ = strings.Cut(rest, "/")
		}
		f = strings.Trim(f, "(){}<>")
		if v, ok := peerValue(f); ok {
			out = append(out, v)
		}
	}
	return out
}

// peerValue accepts an address, an address with port, and a prefix that is no
// whole network of everything.
func peerValue(s string) (string, bool) {
	s = strings.TrimSuffix(s, ":")
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.String(), !a.IsUnspecified()
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.String(), !ap.Addr().IsUnspecified()
	}
	if p, err := netip.ParsePrefix(s); err == nil && p.Bits() > 0 {
		return p.String(), true
	}
	return "", false
}

package join

import (
	"cmp"
	"slices"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// FilterLsof is the filter of a table that lsof made: it shows what it was asked
// for, so that counts from it are lower bounds.
const FilterLsof = "lsof"

// Showing is the table to count the sockets of a TCP state in: of the host's
// latest moment, the one that says most among those which show that state. A
// table of lsof serves only where there is no other. It is nil if no table shows
// the state. Sockets are counted in one table, never in several together: tables
// taken one after the other differ by what happened in between.
func (s *Sockets) Showing(host, state string) *Table {
	latest := -1
	for _, t := range s.Tables {
		if t.Host == host {
			latest = max(latest, t.Moment)
		}
	}
	var best *Table
	for _, t := range s.Tables {
		if t.Host != host || t.Moment != latest || !t.shows(state) {
			continue
		}
		if best == nil || t.rank(state) > best.rank(state) {
			best = t
		}
	}
	return best
}

// Views are the tables to look at for a TCP state: the one of Showing, and further
// ones of the same moment that show other sockets, as tables of another network
// namespace do. Each is to be judged by itself.
func (s *Sockets) Views(host, state string) []*Table {
	best := s.Showing(host, state)
	if best == nil {
		return nil
	}
	out := []*Table{best}
	for _, t := range s.Tables {
		if t.Host == host && t.Moment == best.Moment && t != best && t.shows(state) && t.Meta.Filter != FilterLsof && s.mostlyNew(t, out) {
			out = append(out, t)
		}
	}
	return out
}

// newShare is the share of a table's connections that no other table may have for
// it to count as one of other sockets.
const newShare = 0.8

// mostlyNew reports whether a table shows connections that those in known do not.
func (s *Sockets) mostlyNew(t *Table, known []*Table) bool {
	all, fresh := 0, 0
	for _, k := range s.Shown(t) {
		if !k.Remote.IsValid() {
			continue
		}
		all++
		if !slices.ContainsFunc(known, func(o *Table) bool { return k.RowIn(o) != nil }) {
			fresh++
		}
	}
	return all > 0 && float64(fresh) >= newShare*float64(all)
}

func (t *Table) shows(state string) bool {
	switch t.Meta.Filter {
	case "", FilterLsof:
		if state == fact.StateListen {
			return t.Meta.HasListeners
		}
		return t.Meta.HasConnections
	}
	return t.Meta.Filter == state
}

func (t *Table) rank(state string) int {
	n := t.richness()
	if t.Meta.Filter == state {
		n += 1 << 4 // it shows all of that state, as an unfiltered table does
	}
	return n
}

// Shown lists the joined sockets that a table shows, in the order of All; it must
// not be modified. Rows without numeric addresses cannot be joined and are not among
// them, nor are those of earlier moments.
func (s *Sockets) Shown(t *Table) []*Socket { return t.shown }

// RowIn is the socket's row in a table, nil if it has none there.
func (k *Socket) RowIn(t *Table) *fact.Socket {
	for i, in := range k.in {
		if in == t {
			return k.Rows[i]
		}
	}
	return nil
}

// Earlier lists the tables of a host's earlier moments that show a state, latest
// first.
func (s *Sockets) Earlier(host, state string) []*Table {
	var out []*Table
	now := s.Showing(host, state)
	for _, t := range s.Tables {
		if t.Host == host && now != nil && t.Moment < now.Moment && t.shows(state) {
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(a, b *Table) int { return cmp.Compare(b.Moment, a.Moment) })
	return out
}

// ClientSide reports whether the socket is the end that opened the connection: its
// remote end is a service and its own port is none. A port with a listener on the
// host is a service; where no listener decides, the ports do.
func (s *Sockets) ClientSide(k *Socket) bool {
	if !k.Remote.IsValid() {
		return false
	}
	own := s.Listener(k.Host, k.Proto, k.Local) != nil
	if own {
		// Two services on one port number: the lower port is the service.
		return s.Listener(k.Host, k.Proto, k.Remote) != nil && k.Peer != nil && k.Remote.Port() < k.Local.Port()
	}
	if k.Peer != nil && s.Listener(k.Host, k.Proto, k.Remote) != nil {
		return true
	}
	if _, ok := s.CompleteListeners(k.Host); ok {
		// Every listener is known and its port is not among them. A service whose
		// listener is gone still has a port below the ephemeral range.
		return !(k.Local.Port() < EphemeralFrom && k.Remote.Port() >= EphemeralFrom)
	}
	return k.Remote.Port() < k.Local.Port()
}

// EphemeralFrom is the first port that Linux gives to clients by default. An address
// with a port from there on names one connection and not a service.
const EphemeralFrom = 32768

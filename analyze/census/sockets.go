package census

import (
	"cmp"
	"net/netip"
	"strconv"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// sockets counts listeners, peers, what the host itself connects to, and the
// sockets of each program by state; addresses that no table shows come from the
// captures.
func (c *counter) sockets() {
	socks := join.SocketsOf(c.p)
	for _, t := range socks.Tables {
		if t.Meta.Tool == join.FilterLsof {
			continue // shows what it was asked for
		}
		if t.Meta.HasListeners && t.Meta.Filter == "" {
			c.shows(t.Host, "listener", t.Meta.At)
		}
		if t.Meta.HasConnections && t.Meta.Filter == "" {
			for _, what := range [...]string{"peer", "upstream", "sockets"} {
				c.shows(t.Host, what, t.Meta.At)
			}
		}
	}
	connected := map[string]bool{}
	for _, k := range socks.All {
		at := k.Row().At
		if k.Listening() {
			if n := c.add(k.Host, "listener", k.Local.String()+"/"+k.Proto, "", 1, at); n.Value == "" {
				n.Value = owner(k)
			}
			continue
		}
		if k.Proto != "tcp" || !k.Remote.IsValid() {
			continue
		}
		client := socks.ClientSide(k)
		c.add(k.Host, "sockets", k.State, holder(k, client), 1, at)
		if k.State != fact.StateEstablished {
			continue
		}
		connected[k.Host] = true
		c.peer(k.Host, k.Local, k.Remote, client, owner(k), at)
	}
	c.flows(connected)
}

// peer counts one connection with another address.
func (c *counter) peer(host string, local, remote netip.AddrPort, client bool, program string, at fact.Ref) {
	if client {
		c.add(host, "upstream", remote.String(), program, 1, at)
		return
	}
	c.add(host, "peer", remote.Addr().String(), local.String(), 1, at)
}

// flows counts the peers of captures, on hosts whose tables show no connections.
func (c *counter) flows(connected map[string]bool) {
	for f := range fact.All[fact.Flow](c.p.Facts) {
		host := c.hosts.Of(f.Ref())
		if connected[host] || f.Proto() != "tcp" || !f.Established {
			continue
		}
		c.peer(host, f.Server(), f.Client(), false, "", f.Ref())
	}
}

// owner is the program that holds a socket, "" if unknown.
func owner(k *join.Socket) string {
	if pr := k.Owner(); pr != nil {
		return pr.Name()
	}
	if o := k.Row().Owners; len(o) > 0 {
		return o[0].Process
	}
	return ""
}

// holder names who a socket belongs to: its program, else the service's port.
func holder(k *join.Socket, client bool) string {
	service := ":" + strconv.Itoa(int(k.Local.Port()))
	if client {
		service = "to :" + strconv.Itoa(int(k.Remote.Port()))
	}
	return cmp.Or(owner(k), service)
}

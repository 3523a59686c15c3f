package census

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// system notes versions and settings of the host.
func (c *counter) system() {
	for i := range fact.All[fact.HostInfo](c.p.Facts) {
		if i.Name == "kernel" || i.Name == "os" {
			// uname prints the system before the version, hostnamectl does not.
			c.set(c.hosts.Of(i.At), "version", i.Name, "", strings.TrimPrefix(i.Value, "Linux "), i.At)
		}
	}
	for n := range fact.All[fact.Counter](c.p.Facts) {
		if n.Source == "sysctl" {
			c.set(c.hosts.Of(n.At), "setting", n.Name, "", cmp.Or(n.Text, number(n.Value)), n.At)
		}
	}
}

// set notes what a version or setting says; the last one stands.
func (c *counter) set(host, what, name, of, value string, at fact.Ref) {
	n := c.add(host, what, name, of, 0, at)
	n.Value, n.At = value, at
}

func number(v int64) string { return strconv.FormatInt(v, 10) }

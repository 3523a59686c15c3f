// Package redact replaces in a result what should not leave the house: addresses,
// names of hosts and users, secrets on command lines and in URLs, and what looks
// like an e-mail address. Equal inputs get equal pseudonyms, so that a report can
// still be followed; an address keeps its class (loopback, private, public), ports,
// pids, times and positions stay. Names of hosts and users are those that tables,
// hostname files and accounts show, and those that logs, captures and command lines
// state where such names stand: user=, host=, a URL, a name that was looked up, a name
// with a number and a port. Of a URL the path stays.
//
// Pseudonyms are numbered in the order of the report and hold nothing of what they
// replace; two reports do not share them. What cannot be known is not replaced:
// names of hosts and people that stand nowhere as such, names of programs, files,
// goroutines' functions and topics, short secrets without a word before them that says
// so, and text in a form that hides it (compressed, encrypted, base64). Names that programs and system accounts share, such as nginx,
// stay. The bundle's SHA-256 stays as well. Read a report before you publish it.
package redact

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
)

// New prepares the replacement of a result's texts. It is what
// analyze.Config.Redact takes.
func New(p *analyze.Pass, texts []string) func(string) string {
	r := &redactor{pseudonyms: map[string]string{}, count: map[string]int{}, avoid: map[string]bool{}}
	r.names = namesOf(p)
	for _, t := range texts {
		r.names.fromText(t)
		r.findSecrets(t)
		for _, m := range addresses.FindAllString(t, -1) {
			r.avoid[m] = true
		}
	}
	for name := range r.names.sort {
		r.avoid[name] = true
	}
	// Longer names first: one may begin with another.
	if words := r.names.sorted(); len(words) > 0 {
		r.known = regexp.MustCompile(`(?i)` + strings.Join(words, "|"))
	}
	return r.replace
}

// redactor holds the pseudonyms of one report.
type redactor struct {
	names      *names
	known      *regexp.Regexp // the names of hosts and users, nil if none
	secrets    []string       // secrets that were seen, in the order of the report
	pseudonyms map[string]string
	count      map[string]int
	avoid      map[string]bool // addresses of the report: no pseudonym may be one
}

// pseudonym is the replacement of a token, made by the first who asks.
func (r *redactor) pseudonym(sort, token string, build func(n int) string) string {
	key := sort + "\x00" + token
	if have, ok := r.pseudonyms[key]; ok {
		return have
	}
	for {
		r.count[sort]++
		if made := build(r.count[sort]); !r.avoid[made] {
			r.pseudonyms[key] = made
			return made
		}
	}
}

// numbered makes pseudonyms of a word and a number.
func numbered(sort string) func(int) string {
	return func(n int) string { return fmt.Sprintf("%s-%d", sort, n) }
}

// replace redacts one text.
func (r *redactor) replace(s string) string {
	s = r.replaceSecrets(s)
	s = emails.ReplaceAllStringFunc(s, func(m string) string {
		if unit.MatchString(m) {
			return m
		}
		return r.pseudonym("mail", strings.ToLower(m), func(n int) string { return fmt.Sprintf("mail-%d@redacted.invalid", n) })
	})
	s = macs.ReplaceAllStringFunc(s, func(m string) string {
		return r.pseudonym("mac", strings.ToLower(m), func(n int) string { return fmt.Sprintf("02:00:00:00:%02x:%02x", n>>8&0xff, n&0xff) })
	})
	s = addresses.ReplaceAllStringFunc(s, r.address)
	s = r.replaceURLs(r.replaceLookups(s))
	s = r.replaceDomains(s)
	return r.replaceNames(s)
}

// Candidates for addresses; netip decides. An IPv6 address has at least two colons.
var (
	addresses = regexp.MustCompile(`(?i)\b[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?|::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?(?:(?:\.[0-9]{1,3}){3})?|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b`)
	macs      = regexp.MustCompile(`(?i)\b[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}\b`)
	emails    = regexp.MustCompile(`[\pL\pN][\pL\pN._%+-]*@[\pL\pN-]+(?:\.[\pL\pN-]+)+`)
	// unit is a template unit or a module's version, which only look like mail.
	unit = regexp.MustCompile(`@(?:v[0-9]|.*\.(?:service|timer|socket|slice|scope|target)$)`)
)

// address replaces one address by another of its class.
func (r *redactor) address(m string) string {
	a, err := netip.ParseAddr(m)
	if err != nil || a.IsLoopback() || a.IsUnspecified() || a.Unmap().IsLoopback() || a.IsMulticast() || netmask(a) {
		return m
	}
	if a.Is4In6() {
		return "::ffff:" + r.address(a.Unmap().String())
	}
	sort, format := class(a)
	return r.pseudonym(sort, a.String(), func(n int) string {
		if a.Is4() {
			return fmt.Sprintf(format, n>>8&0xff, n&0xff)
		}
		return fmt.Sprintf(format, n)
	})
}

// netmask reports whether an address is one that masks networks, or broadcast.
func netmask(a netip.Addr) bool { return a.Is4() && a.As4()[0] == 255 }

var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// class is the class of an address and the form of its pseudonyms: ranges that are
// set aside for private use, benchmarks and documentation.
func class(a netip.Addr) (sort, format string) {
	private := a.IsPrivate() || a.IsLinkLocalUnicast() || carrierGrade.Contains(a)
	switch {
	case a.Is4() && private:
		return "private4", "10.255.%d.%d"
	case a.Is4():
		return "public4", "198.18.%d.%d"
	case private:
		return "private6", "fd00:ffff::%x"
	}
	return "public6", "2001:db8::%x"
}

// domains are names of machines with a domain.
var domains = regexp.MustCompile(`(?i)(?:\b[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?:com|net|org|io|dev|cloud|internal|intern|local|localdomain|lan|corp|intra|example|cn|de|uk|fr|jp|eu|us|ru|nl|ch|kr|au|svc)\b`)

// replaceDomains replaces names with a domain, but for import paths of public code
// and for packages of Java, which go on behind a dot.
func (r *redactor) replaceDomains(s string) string {
	var b strings.Builder
	at := 0
	for _, m := range domains.FindAllStringIndex(s, -1) {
		name, rest := s[m[0]:m[1]], s[m[1]:]
		goesOn := len(rest) > 1 && rest[0] == '.' && wordByte(rest[1])
		if goesOn || strings.HasPrefix(rest, "/") && codeHosts.MatchString(name) || strings.HasPrefix(name, "java.") || strings.HasPrefix(name, "javax.") {
			continue
		}
		b.WriteString(s[at:m[0]])
		b.WriteString(r.pseudonym("host", strings.ToLower(name), numbered("host")))
		at = m[1]
	}
	return b.String() + s[at:]
}

// codeHosts are where Go packages of stacks come from; they name no machine of the
// incident.
var codeHosts = regexp.MustCompile(`^(?:github\.com|gitlab\.com|bitbucket\.org|golang\.org|google\.golang\.org|gopkg\.in|go\.uber\.org|go\.opentelemetry\.io|cel\.dev|k8s\.io|sigs\.k8s\.io|cloud\.google\.com)$`)

// replaceNames replaces known names of hosts and users that stand as words.
func (r *redactor) replaceNames(s string) string {
	if r.known == nil {
		return s
	}
	var b strings.Builder
	at := 0
	for _, m := range r.known.FindAllStringIndex(s, -1) {
		if m[0] > 0 && wordByte(s[m[0]-1]) || m[1] < len(s) && wordByte(s[m[1]]) {
			continue
		}
		name := strings.ToLower(s[m[0]:m[1]])
		sort := r.names.sort[name]
		b.WriteString(s[at:m[0]])
		b.WriteString(r.pseudonym(sort, name, numbered(sort)))
		at = m[1]
	}
	b.WriteString(s[at:])
	return b.String()
}

// wordByte reports whether a byte belongs to a word. An underscore joins words in
// names of files: bash_history_alice.
func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func (n *names) sorted() []string {
	var out []string
	for name := range n.sort {
		out = append(out, name)
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	for i, name := range out {
		out[i] = regexp.QuoteMeta(name)
	}
	return out
}

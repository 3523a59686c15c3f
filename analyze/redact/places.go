package redact

import (
	"regexp"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// name is the form of a host's or a user's name in the patterns below.
const name = `([\pL\pN_][\pL\pN_.-]*)`

// Places where the name of a user stands in text; one group.
var userPlaces = []*regexp.Regexp{
	regexp.MustCompile(`(?:/home|/Users|/export/home)/([A-Za-z_][\w.-]*)`),
	regexp.MustCompile(`\b(?:acct|AUID|UID|EUID|SUID|OUID|user|USER|LOGNAME)="([A-Za-z_][\w.-]*)"`),
	regexp.MustCompile(`\b(?:USER|LOGNAME|SUDO_USER)=([A-Za-z_][\w.-]*)`),
	regexp.MustCompile(`\bfor (?:invalid user )?([A-Za-z_][\w.-]*) from \S+ port\b`),
	regexp.MustCompile(`\bsession (?:opened|closed) for user ([A-Za-z_][\w.-]*)`),
	regexp.MustCompile(`\b([A-Za-z_][\w-]*) : (?:TTY=\S+ ; )?PWD=`),
	regexp.MustCompile(`(?i)\b(?:user|user[-_]?name|user[-_]?id|login|account|acct|owner|principal|actor|author|member|customer|requested[-_]by)["']?\s*[=:]\s*["']?` + name),
	regexp.MustCompile(`(?i)\b(?:user|login|account|member) ["'“]` + name + `["'”]`),
	regexp.MustCompile(`\b[ug]id=\d+\(` + name + `\)`),
	regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://` + name + `(?::[^\s/@]*)?@`),
	regexp.MustCompile(`\b(?:ssh|scp|sftp|rsync)\b[^\n]*?\s` + name + `@`),
}

// lookups are names that were to be resolved: nothing but a host.
var lookups = regexp.MustCompile(`(?i)\b(?:lookup|resolve|resolving|getaddrinfo(?: E\w+)?|ENOTFOUND|EAI_AGAIN|gethostbyname) ["']?` + name)

// Places where only the name of a host can stand.
var hostPlaces = []*regexp.Regexp{
	lookups,
	regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://(?:[^\s/@]*@)?` + name),
	regexp.MustCompile(`\b(?:ssh|scp|sftp|rsync)\b[^\n]*?\s[\w.-]+@` + name),
}

// Places where names of hosts stand among other things: what they hold must look like
// one, see telltale.
var hostlikePlaces = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\b(?:host|node|server|peer|upstream|remote|broker|machine|instance|pod|addr|address|endpoint|target|dst|src)(?:[-_]?(?:name|id))?["']?\s*[=:]\s*["']?` + name),
	regexp.MustCompile(`(?i)\b(?:host|node|machine|server|peer|pod|from|to) ["']?` + name),
	regexp.MustCompile(`(?:^|[\s="'(@,])([A-Za-z][A-Za-z0-9-]*):\d{2,5}\b`),
}

var version = regexp.MustCompile(`(?i)^v?\d[\d.]*$|^0x[0-9a-f]+$|\.(?:go|js|ts|py|rb|java|c|h|cc|cpp|rs|log|txt|json|ya?ml|conf|service|csv|pcap|gz)$`)

// telltale reports whether a word looks like a machine's name: letters with a number
// behind a hyphen or at the end, web-12, ip-10-0-0-5, db3.
func telltale(s string) bool {
	last := s[len(s)-1]
	return len(s) >= 3 && last >= '0' && last <= '9' && !version.MatchString(s) && strings.ContainsFunc(s, letter) && !unitOfTime.MatchString(s)
}

var unitOfTime = regexp.MustCompile(`(?i)^(?:pid|fd|step|line|port|signal|sig|tty|pts|utf|ipv|http|tls|sha|md|base|int|uint|float|tcp|udp|attempt|worker|thread|goroutine|cpu|node)[-_]?\d*$`)

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80 }

// fromText notes the names that stand where only such names stand.
func (n *names) fromText(s string) {
	for _, re := range userPlaces {
		for _, m := range re.FindAllStringSubmatch(s, -1) {
			n.user(strings.TrimRight(m[1], ".-"))
		}
	}
	for _, re := range hostPlaces {
		for _, m := range re.FindAllStringSubmatch(s, -1) {
			if host := strings.TrimRight(m[1], ".-"); host != "" && (telltale(host) || strings.Contains(host, ".")) && !public(host) {
				n.host(host)
			}
		}
	}
	for _, re := range hostlikePlaces {
		for _, m := range re.FindAllStringSubmatch(s, -1) {
			if host := strings.TrimRight(m[1], ".-"); host != "" && telltale(host) {
				n.host(host)
			}
		}
	}
}

// public reports whether a name is of a place that everybody's programs come from.
func public(host string) bool { return codeHosts.MatchString(host) }

// scanned bounds the lines of logs that are searched for names: those that the report
// cites are searched in any case.
const scanned = 200_000

// fromFacts notes the names that logs, captures and histories state, also in lines
// that the report does not cite: elsewhere the same name may stand alone.
func (n *names) fromFacts(p *analyze.Pass) {
	left := scanned
	for e := range fact.All[fact.LogEvent](p.Facts) {
		if left--; left < 0 {
			break
		}
		n.host(e.Host)
		n.fromText(e.Text)
	}
	for e := range fact.All[fact.KernelEvent](p.Facts) {
		n.host(e.Host)
	}
	for c := range fact.All[fact.CommandRun](p.Facts) {
		n.fromText(c.Text)
	}
	for d := range fact.All[fact.DNSFailure](p.Facts) {
		n.host(d.Name)
	}
	for f := range fact.All[fact.Flow](p.Facts) {
		if name := f.ServerName(); name != "" {
			host, _, _ := strings.Cut(name, ":")
			n.host(host)
		}
	}
}

// urls have three groups: the host, the path and what follows a question mark.
var (
	urls   = regexp.MustCompile(`(?i)([a-z][a-z0-9+.-]*://(?:[^\s/@]*@)?)` + name + `((?::\d+)?[^\s?#"'<>]*)(\?[^\s"'<>]*)?`)
	values = regexp.MustCompile(`([?&;][^=&;\s]+=)([^&;\s]+)`)
)

// replaceLookups replaces names that were to be resolved, whatever they are called.
func (r *redactor) replaceLookups(s string) string {
	var b strings.Builder
	at := 0
	for _, m := range lookups.FindAllStringSubmatchIndex(s, -1) {
		host := strings.ToLower(s[m[2]:m[3]])
		if r.keeps(host) {
			continue
		}
		b.WriteString(s[at:m[2]])
		b.WriteString(r.pseudonym("host", host, numbered("host")))
		at = m[3]
	}
	return b.String() + s[at:]
}

// keeps reports whether what stands at a host's place names nobody's machine.
func (r *redactor) keeps(host string) bool {
	return system[host] || version.MatchString(host) || addresses.MatchString(host) || host0.MatchString(host) || public(host) || errnos.MatchString(host)
}

var errnos = regexp.MustCompile(`(?i)^(?:enotfound|eai_again)$`)

// replaceURLs replaces the hosts of URLs, whatever they are called, and the values of
// their queries. Paths stay: they say which request it was.
func (r *redactor) replaceURLs(s string) string {
	return urls.ReplaceAllStringFunc(s, func(u string) string {
		m := urls.FindStringSubmatch(u)
		host := strings.ToLower(m[2])
		if !r.keeps(host) && !capitals(m[2]) {
			m[2] = r.pseudonym("host", host, numbered("host"))
		}
		query := values.ReplaceAllStringFunc(m[4], func(v string) string {
			kv := values.FindStringSubmatch(v)
			if plainValues.MatchString(kv[2]) || strings.HasPrefix(kv[2], "secret-") {
				return v
			}
			return kv[1] + r.pseudonym("value", kv[2], numbered("value"))
		})
		return m[1] + m[2] + m[3] + query
	})
}

// host0 is a pseudonym that stands there already.
var host0 = regexp.MustCompile(`^host-\d+$`)

// capitals reports whether a word is a placeholder of a command: HOST.
func capitals(s string) bool { return strings.ToUpper(s) == s }

// opaque are long words that may be keys or tickets without a word before them.
var opaque = regexp.MustCompile(`[A-Za-z0-9_-]{24,}`)

// ticket reports whether a word is too wild for a name: it changes between small and
// capital letters and digits all the time, and has all three.
func ticket(s string) bool {
	kinds, changes, last := map[int]int{}, 0, 0
	for _, c := range s {
		k := 0
		switch {
		case c >= 'a' && c <= 'z':
			k = 1
		case c >= 'A' && c <= 'Z':
			k = 2
		case c >= '0' && c <= '9':
			k = 3
		}
		if k != last {
			changes++
		}
		kinds[k]++
		last = k
	}
	return kinds[1] > 2 && kinds[2] > 2 && kinds[3] > 2 && changes*3 >= len(s)
}

package redact

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Words before a secret, wherever they stand in an option, a variable or a key.
const secretWords = `(?:password|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?|auth[-_]?key|session[-_]?key)`

// secretPlaces have one group: the secret.
var secretPlaces = []*regexp.Regexp{
	regexp.MustCompile(`(?i)--?[\w-]*` + secretWords + `[\w-]*[= ]+"?([^\s"']+)`),
	regexp.MustCompile(`(?i)\b[\w.-]*` + secretWords + `[\w.-]*"?\s*[=:]\s*"?([^\s"',;&]+)`),
	regexp.MustCompile(`(?i)\b(?:mysql|mysqldump|mariadb|mysqladmin)\b[^\n]*?\s-p([^\s-][^\s]*)`),
	regexp.MustCompile(`(?i)\b(?:curl|wget)\b[^\n]*?\s(?:-u|--user) "?[^\s:"]+:([^\s"]+)`),
	regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://[^\s:/@]*:([^\s/@]+)@`),
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+([A-Za-z0-9._~+/-]{8,}=*)`),
	regexp.MustCompile(`\b(eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)`),
	regexp.MustCompile(`\b((?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|sk-[A-Za-z0-9_-]{20,})`),
	// The kernel writes addresses and command lines in hexadecimal; both may hold
	// what is replaced elsewhere.
	regexp.MustCompile(`\b(?:saddr|proctitle)=([0-9A-Fa-f]{8,})\b`),
	regexp.MustCompile(`\b([0-9A-F]{8}(?:[0-9A-F]{24})?):[0-9A-F]{4}\b`),
}

// plainValues are no secrets although a word before them says so.
var plainValues = regexp.MustCompile(`(?i)^(?:true|false|null|nil|none|yes|no|on|off|\*+|x+|[0-9]{1,3}|<.*>|\[.*|\$.*|\(.*|[{}()]+)$`)

// findSecrets notes the secrets of a text, so that they are replaced where nothing
// says what they are, too.
func (r *redactor) findSecrets(s string) {
	for _, v := range opaque.FindAllString(s, -1) {
		if ticket(v) {
			r.secret(v)
		}
	}
	for _, re := range secretPlaces {
		for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
			if v := trim(s[m[2]:m[3]]); isSecret(v) && telling(v) {
				r.secret(v)
			}
		}
	}
}

// trim takes off what ends a sentence around a command line.
func trim(v string) string { return strings.TrimRight(v, `.,;)`) }

func isSecret(v string) bool { return len(v) >= 4 && !plainValues.MatchString(v) }

// telling reports whether a secret can be told from a word: a password that is one
// is replaced only behind its option.
func telling(v string) bool {
	return len(v) >= 8 && strings.ContainsAny(v, "0123456789") || len(v) >= 16
}

// replaceSecrets replaces secrets, and those that can be told from a word anywhere.
// All places are looked for before any is replaced: a pseudonym looks like a place.
func (r *redactor) replaceSecrets(s string) string {
	var spans [][2]int
	for _, re := range secretPlaces {
		for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
			if v := trim(s[m[2]:m[3]]); isSecret(v) {
				spans = append(spans, [2]int{m[2], m[2] + len(v)})
			}
		}
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(b[1], a[1])) })
	var b strings.Builder
	at := 0
	for _, sp := range spans {
		if sp[0] >= at {
			b.WriteString(s[at:sp[0]])
			b.WriteString(r.secret(s[sp[0]:sp[1]]))
			at = sp[1]
		}
	}
	s = b.String() + s[at:]
	for _, v := range r.secrets {
		if telling(v) && strings.Contains(s, v) {
			s = strings.ReplaceAll(s, v, r.secret(v))
		}
	}
	return s
}

func (r *redactor) secret(v string) string {
	if _, have := r.pseudonyms["secret\x00"+v]; !have {
		r.secrets = append(r.secrets, v)
	}
	return r.pseudonym("secret", v, func(n int) string { return fmt.Sprintf("secret-%d", n) })
}

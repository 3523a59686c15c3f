package source

import (
	"regexp"
	"strings"
)

// Source files are small, so the few patterns that bind names to modules may be
// regular expressions.
var (
	jsRequire  = regexp.MustCompile(`(?:const|let|var)\s+([\w$]+|\{[^}]*\})\s*=\s*require\(\s*['"](?:node:)?([\w/]+)['"]\s*\)(?:\.(\w+))?`)
	jsImport   = regexp.MustCompile(`import\s+(?:\*\s+as\s+)?([\w$]+|\{[^}]*\})\s+from\s+['"](?:node:)?([\w/]+)['"]`)
	jsPromise  = regexp.MustCompile(`(?:const|let|var)\s+([\w$]+)\s*=\s*(?:util\.)?promisify\(\s*([\w$.]+)\s*\)`)
	pyImport   = regexp.MustCompile(`(?m)^\s*from\s+(\w+)\s+import\s+([\w, ]+)`)
	pyAlias    = regexp.MustCompile(`(?m)^\s*import\s+(\w+)\s+as\s+(\w+)`)
	literalVar = regexp.MustCompile(`(?m)(?:const|let|var|^)\s*([\w$]+)\s*(?::?=)\s*('[^'\n]*'|"[^"\n]*"|` + "`[^`$\n]*`" + `)`)
)

// imports fills names and values.
func (f *file) imports() {
	f.names, f.values = map[string]string{}, map[string]string{}
	text := string(f.text)
	switch f.lang {
	case "js":
		for _, re := range []*regexp.Regexp{jsRequire, jsImport} {
			for _, m := range re.FindAllStringSubmatch(text, -1) {
				module := m[2]
				if len(m) > 3 && m[3] != "" { // require('child_process').exec
					f.names[m[1]] = module + "." + m[3]
					continue
				}
				f.bind(m[1], module)
			}
		}
		for _, m := range jsPromise.FindAllStringSubmatch(text, -1) {
			if full := f.resolve(m[2]); full != "" {
				f.names[m[1]] = full
			}
		}
	case "python":
		for _, m := range pyImport.FindAllStringSubmatch(text, -1) {
			f.bind("{"+strings.ReplaceAll(m[2], " as ", ":")+"}", m[1])
		}
		for _, m := range pyAlias.FindAllStringSubmatch(text, -1) {
			f.names[m[2]] = m[1]
		}
	}
	for _, m := range literalVar.FindAllStringSubmatch(text, -1) {
		f.values[m[1]] = m[2][1 : len(m[2])-1]
	}
}

// bind gives the names of "cp" or "{ exec, spawn: start, fork as f }" their module.
func (f *file) bind(names, module string) {
	inner, ok := strings.CutPrefix(names, "{")
	if !ok {
		f.names[names] = module
		return
	}
	for _, n := range strings.Split(strings.TrimSuffix(inner, "}"), ",") {
		n = strings.ReplaceAll(n, " as ", ":")
		from, to, renamed := strings.Cut(n, ":")
		from = strings.TrimSpace(from)
		if !renamed {
			to = from
		}
		if to = strings.TrimSpace(to); to != "" {
			f.names[to] = module + "." + from
		}
	}
}

// resolve is the full name of a dotted local one: "cp.exec" becomes
// "child_process.exec".
func (f *file) resolve(name string) string {
	if full, ok := f.names[name]; ok {
		return full
	}
	head, tail, ok := strings.Cut(name, ".")
	if full, known := f.names[head]; ok && known {
		return full + "." + tail
	}
	return name
}

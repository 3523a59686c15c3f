package join

import (
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// tagFiles gives files that lie side by side the part of their names that stands
// for a host: web-1_ps.txt, web-1_ss.txt, web-2_ps.txt and web-2_ss.txt are of
// web-1 and web-2, and so are ps.web-1.txt and the others. A part counts when a
// file that names its host is there under the same name with another part too, or
// a process table and a file of another kind are. Whether the parts are different
// hosts is for the files' contents to say, as it is with folders.
func tagFiles(arts []fact.Artifact, named map[fact.ID]string) map[fact.ID]string {
	tags := map[fact.ID][]tagged{}
	users := map[sameName]map[string]bool{} // the tags under which a name occurs
	for _, a := range arts {
		if a.Parser == "" || strings.Contains(string(a.ID), "!") {
			continue
		}
		tags[a.ID] = splitTags(string(a.ID))
		for _, t := range tags[a.ID] {
			key := sameName{t.rest, a.Parser, named[a.ID] != "", slices.Contains(a.Kinds, "process")}
			if users[key] == nil {
				users[key] = map[string]bool{}
			}
			users[key][t.tag] = true
		}
	}
	shared := map[string][]sameName{}
	for key, list := range users {
		for tag := range list {
			if len(list) > 1 {
				shared[tag] = append(shared[tag], key)
			}
		}
	}
	out := map[fact.ID]string{}
	for _, a := range arts {
		for _, t := range tags[a.ID] {
			if len(t.tag) > len(out[a.ID]) && ofHost(shared[t.tag]) {
				out[a.ID] = t.tag
			}
		}
	}
	return out
}

// sameName is what files of several hosts have in common: their names but for the
// tag, and what is in them.
type sameName struct {
	rest, parser string
	hostname     bool // they name their host
	processes    bool
}

// ofHost reports whether a tag with these names can stand for a host.
func ofHost(names []sameName) bool {
	for _, n := range names {
		if n.hostname || n.processes && slices.ContainsFunc(names, func(o sameName) bool { return o.parser != n.parser }) {
			return true
		}
	}
	return false
}

// tagged is one way to read a file name: a tag before or after the rest.
type tagged struct{ tag, rest string }

// maxTagWords bounds the words of a tag: db-eu-west-1.
const maxTagWords = 5

// splitTags lists the ways to take a tag from a name, at its front or before its
// extension. Numbers and the words that name samples are no tags: they tell
// moments, processes and ports apart, not hosts.
func splitTags(id string) []tagged {
	dir, base := "", id
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		dir, base = id[:i+1], id[i+1:]
	}
	stem, ext := base, ""
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		stem, ext = base[:i], base[i:]
	}
	var cuts []int
	for i := 1; i < len(stem)-1; i++ {
		if strings.IndexByte("_-. ", stem[i]) >= 0 {
			cuts = append(cuts, i)
		}
	}
	var out []tagged
	add := func(tag, rest string) {
		if _, stage := stageWords[strings.ToLower(tag)]; stage || !strings.ContainsFunc(tag, isLetter) {
			return
		}
		if _, sample := sampleNumber(strings.ToLower(tag)); !sample {
			out = append(out, tagged{tag, rest})
		}
	}
	for i, at := range cuts {
		if i < maxTagWords {
			add(stem[:at], dir+"*"+stem[at:]+ext)
		}
		if len(cuts)-i <= maxTagWords {
			add(stem[at+1:], dir+stem[:at+1]+"*"+ext)
		}
	}
	return out
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127 }

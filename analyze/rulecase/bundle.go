// Package rulecase runs rules over small bundles written as txtar files, the cases
// of a rule. Package analyzetest makes Go tests of them, and `analyze rules test`
// runs them without a compiler.
//
// Each rule keeps its bundles in testdata/ beside its code: fires*.txtar must
// produce findings of the rule, quiet*.txtar must not. A bundle begins with a
// comment that tells the story, then has the artifacts as files, and ends with a
// file named `want`:
//
//	The listener on 6402 died; the client keeps calling.
//	-- api.log --
//	2026-11-21T00:36:32.100Z ERROR rank-b connect ECONNREFUSED 127.0.0.1:6402
//	-- lo.pcap.txt --
//	(a capture in the notation of CompileCapture, which appears as lo.pcap)
//	-- want --
//	finding 127.0.0.1:6402      a finding whose subject contains this text follows
//	severity high               ... with this severity
//	confidence likely           ... and confidence
//	role root_cause             ... and role
//	says ECONNREFUSED           ... whose title, detail, fix or evidence says this
//	silent about 6401           ... and never says that
//	cites api.log:1             ... with evidence at this position (file, file:line or file#packet)
//	against api.log             ... with counter-evidence there
//	cause tcp/refused           ... explained by a finding of this rule
//
// Files whose names begin with "baseline:" are a healthy bundle of the same system,
// against which the rules judge; they are cited by that name.
//
// Instead of findings, `want` may say:
//
//	clean                       the rule ran and found nothing
//	skipped no process table    the rule could not run; its reason contains this
//
// Findings of the rule that `want` does not name are errors, and so is one that
// it names and that is not there.
package rulecase

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/culprit-dev/culprit/analyze"
)

// Bundle is a test bundle: its artifacts and what is wanted of a rule.
type Bundle struct {
	Story  string
	Inputs []*analyze.Input
	// Baseline is a healthy bundle to judge against, empty if there is none.
	Baseline []*analyze.Input
	Want     []Want
	// Outcome is "clean" or "skipped" where no finding is wanted, else "".
	Outcome string
	// Reason is what a skip must say.
	Reason string

	line int // where the wants begin in the text
}

// Want is what one finding must be.
type Want struct {
	Subject    string
	Severity   string
	Confidence string
	Role       string
	Says       []string
	Silent     []string
	Cites      []string
	Against    []string
	Causes     []string

	line  int            // of the finding
	lines map[string]int // of what is wanted of it, by "word value"
}

// SyntaxError is a fault in the text of a bundle.
type SyntaxError struct {
	Line int
	Msg  string
}

// Error is "line N: what".
func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// Parse reads a bundle from txtar text.
func Parse(text []byte) (*Bundle, error) {
	ar := txtar.Parse(text)
	b := &Bundle{Story: strings.TrimSpace(string(ar.Comment))}
	if b.Story == "" {
		return nil, &SyntaxError{Line: 1, Msg: "the bundle tells no story: begin the file with a comment"}
	}
	wanted := false
	b.line = 1 + bytes.Count(text[:max(bytes.Index(text, []byte("-- want --")), 0)], []byte("\n"))
	for _, f := range ar.Files {
		if f.Name == "want" {
			wanted = true
			if err := b.parseWant(string(f.Data)); err != nil {
				return nil, err
			}
			continue
		}
		name, data := f.Name, f.Data
		if n, ok := strings.CutSuffix(name, ".pcap.txt"); ok {
			compiled, err := CompileCapture(data)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			name, data = n+".pcap", compiled
		}
		if healthy, ok := strings.CutPrefix(name, analyze.BaselinePrefix); ok {
			b.Baseline = append(b.Baseline, Input(healthy, data))
			continue
		}
		b.Inputs = append(b.Inputs, Input(name, data))
	}
	if !wanted {
		return nil, &SyntaxError{Line: 1, Msg: "the bundle has no file named want"}
	}
	return b, nil
}

// Input is an input with the given content.
func Input(path string, content []byte) *analyze.Input {
	return &analyze.Input{
		Path: path, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

func (b *Bundle) parseWant(text string) error {
	bad := func(i int, format string, args ...any) error {
		return &SyntaxError{Line: b.line + 1 + i, Msg: fmt.Sprintf(format, args...)}
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		switch word {
		case "clean":
			b.Outcome = analyze.RuleClean
			continue
		case "skipped":
			b.Outcome, b.Reason = analyze.RuleSkipped, rest
			continue
		case "finding":
			b.Want = append(b.Want, Want{Subject: rest, line: b.line + 1 + i, lines: map[string]int{}})
			continue
		}
		if len(b.Want) == 0 {
			return bad(i, "%q stands before any finding", word)
		}
		w := &b.Want[len(b.Want)-1]
		if !w.set(word, rest) {
			return bad(i, "unknown word %q", word)
		}
		w.lines[word+" "+strings.TrimPrefix(rest, "about ")] = b.line + 1 + i
	}
	if b.Outcome == "" && len(b.Want) == 0 {
		return bad(-1, "want is empty: say clean, skipped or finding")
	}
	return nil
}

// set stores one line of `want`; it reports whether the word is known.
func (w *Want) set(word, rest string) bool {
	switch word {
	case "severity":
		w.Severity = rest
	case "confidence":
		w.Confidence = rest
	case "role":
		w.Role = rest
	case "says":
		w.Says = append(w.Says, rest)
	case "silent":
		w.Silent = append(w.Silent, strings.TrimPrefix(rest, "about "))
	case "cites":
		w.Cites = append(w.Cites, rest)
	case "against":
		w.Against = append(w.Against, rest)
	case "cause":
		w.Causes = append(w.Causes, rest)
	default:
		return false
	}
	return true
}

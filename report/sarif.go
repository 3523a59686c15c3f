package report

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/fact"
)

// encodeSARIF writes SARIF 2.1.0, which code review and ticket tools read: one
// result a finding, located at its most telling evidence. Only the subset that is
// used is modelled; the libraries for SARIF add megabytes and empty arrays.
func encodeSARIF(w io.Writer, r *analyze.Result, _ Options) error {
	run := sarifRun{
		Tool: sarifTool{Driver: sarifDriver{
			Name: orElse(oneLine(r.Tool.Name), "culprit"), Version: oneLine(r.Tool.Version),
			InformationURI: "https://github.com/culprit-dev/culprit", Rules: []sarifRule{},
		}},
		Results:     []sarifResult{},
		Invocations: []sarifInvocation{{ExecutionSuccessful: true, Notifications: notifications(r)}},
		ColumnKind:  "unicodeCodePoints",
	}
	index := map[string]int{}
	for _, s := range r.Rules {
		index[s.ID] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: oneLine(s.ID), Short: sarifText{orElse(oneLine(s.Title), oneLine(s.ID))}})
	}
	records := recordWords(r)
	for _, f := range r.Findings {
		res := sarifFinding(f, records)
		if i, ok := index[f.Rule]; ok {
			res.RuleIndex = &i
		}
		run.Results = append(run.Results, res)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	return nil
}

// recordWords say what the records of an artifact are called that are counted and
// are no lines: samples in profiles, else frames of captures.
func recordWords(r *analyze.Result) map[fact.ID]string {
	out := map[fact.ID]string{}
	for _, a := range r.Artifacts {
		if a.Parser == "pprof" {
			out[fact.ID(a.Path)] = "sample"
		}
	}
	return out
}

func sarifFinding(f *analyze.Finding, records map[fact.ID]string) sarifResult {
	text := sentence(oneLine(f.Title))
	if f.Fix != "" {
		text += " Fix: " + sentence(oneLine(f.Fix))
	}
	res := sarifResult{
		RuleID: oneLine(f.Rule), Level: sarifLevel(f.Severity), Message: sarifText{text},
		// The ID outlives other findings that come and go.
		Fingerprints: map[string]string{"culprit/v1": f.ID},
		Properties:   sarifProperties{f.Role, f.Severity, f.Confidence, oneLine(f.Subject), f.Causes},
	}
	for i, e := range f.Evidence {
		loc := sarifLocate(e, orElse(records[e.Artifact], "frame"))
		if i == 0 {
			res.Locations = append(res.Locations, loc)
			continue
		}
		id := i
		loc.ID = &id
		res.Related = append(res.Related, loc)
	}
	return res
}

func sarifLocate(e analyze.Evidence, record string) sarifLocation {
	note := oneLine(e.Note)
	loc := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{URI: artifactURI(string(e.Artifact))}}}
	switch {
	case e.Line > 0:
		loc.Physical.Region = &sarifRegion{StartLine: e.Line}
		if e.Excerpt != "" {
			loc.Physical.Region.Snippet = &sarifText{strings.Join(lines(e.Excerpt), "\n")}
		}
	case e.Packet > 0:
		// SARIF counts lines and bytes, not frames or samples.
		note = strings.TrimSpace(fmt.Sprintf("%s %d: %s", record, e.Packet, note))
		loc.Physical.Region = &sarifRegion{ByteOffset: &e.Offset}
	}
	if note != "" {
		loc.Message = &sarifText{note}
	}
	return loc
}

// artifactURI is a path as a relative reference.
func artifactURI(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	// A colon in the first segment would read as a scheme.
	parts[0] = strings.ReplaceAll(parts[0], ":", "%3A")
	return strings.TrimLeft(strings.Join(parts, "/"), "/")
}

func sarifLevel(s analyze.Severity) string {
	switch {
	case s >= analyze.High:
		return "error"
	case s >= analyze.Medium:
		return "warning"
	}
	return "note"
}

// notifications say what was not read and what could not judge.
func notifications(r *analyze.Result) []sarifNotification {
	out := []sarifNotification{}
	o := outlined(r, true)
	for _, g := range o.troubled() {
		for _, p := range g.Paths {
			out = append(out, sarifNotification{Level: "warning", Message: sarifText{oneLine(fmt.Sprintf("%s is %s: %s", p, g.Status, g.Why))}})
		}
	}
	for _, g := range o.unjudged() {
		level := "note"
		if g.status == analyze.RuleFailed {
			level = "error"
		}
		out = append(out, sarifNotification{Level: level, Message: sarifText{oneLine(fmt.Sprintf("%s could not judge: %s", strings.Join(g.rules, ", "), g.why))}})
	}
	return slices.Clip(out)
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
		ColumnKind  string            `json:"columnKind"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string    `json:"id"`
		Short sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    *int              `json:"ruleIndex,omitempty"`
		Level        string            `json:"level"`
		Message      sarifText         `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Related      []sarifLocation   `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   sarifProperties   `json:"properties"`
	}
	sarifProperties struct {
		Role       analyze.Role       `json:"role"`
		Severity   analyze.Severity   `json:"severity"`
		Confidence analyze.Confidence `json:"confidence"`
		Subject    string             `json:"subject"`
		Causes     []string           `json:"causes,omitempty"`
	}
	sarifLocation struct {
		ID       *int          `json:"id,omitempty"`
		Physical sarifPhysical `json:"physicalLocation"`
		Message  *sarifText    `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine  int        `json:"startLine,omitempty"`
		ByteOffset *int64     `json:"byteOffset,omitempty"`
		Snippet    *sarifText `json:"snippet,omitempty"`
	}
)

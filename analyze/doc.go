// Package analyze finds the culprit of an incident in the artifacts that were
// saved while it happened.
//
// Run reads inputs with the parsers of a Config, joins their facts, applies the
// rules and returns a Result: a verdict, findings with the line or packet behind
// each, what was read and what could not be judged. A Result is what every
// report format is made from.
//
// The package knows no concrete parser, rule or format. Parsers, rules and fact
// types are values in Config, so that a program can add its own without touching
// this module; parsers.All and rules.All are the ones that come with it.
//
// The way of the data: open (package bundle), sniff, parse (packages
// parsers/...), resolve (package join), diagnose (packages rules/...), rank and
// fold, render (package report). Files of this package follow that way: config.go
// and run.go are the whole of it; input.go, source.go, sniff.go, parser.go,
// parsed.go and read.go make facts; rule.go, needs.go, plan.go and derived.go apply
// rules; finding.go, causes.go, rank.go, moment.go and wanted.go tell the story;
// excerpt.go, timeline.go and result.go are what a report shows of it. Bundles are
// compared by census.go, deviation.go and baseline.go.
//
// The package keeps no state between runs, reads no clock, no environment and no
// user database, and never prints, logs or exits. The same inputs give the same
// Result, whatever the number of jobs.
package analyze

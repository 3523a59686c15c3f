package report_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
	"github.com/culprit-dev/culprit/report"
)

// A report that was saved as JSON becomes every other format, without the bundle.
func ExampleDecode() {
	var saved bytes.Buffer
	if err := save(&saved, "../examples/incidents/lock-leak/bundle.tar.gz"); err != nil {
		log.Fatal(err)
	}
	res, err := report.Decode(&saved)
	if err != nil {
		log.Fatal(err)
	}
	var md strings.Builder
	enc, _ := report.ByName("md")
	if err := enc.Encode(&md, res, report.Options{}); err != nil {
		log.Fatal(err)
	}
	heading, _, _ := strings.Cut(md.String(), "\n")
	fmt.Println(heading)
	// Output:
	// # Incident report: bundle.tar.gz
}

// save writes the JSON report of a bundle.
func save(out *bytes.Buffer, path string) error {
	b, err := bundle.Open(context.Background(), []string{path}, bundle.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	res, err := analyze.Run(context.Background(), b.Inputs, analyze.Config{
		Parsers: parsers.All(), Rules: rules.All(), Bundle: analyze.Bundle{Name: b.Name},
	})
	if err != nil {
		return err
	}
	enc, _ := report.ByName("json")
	return enc.Encode(out, res, report.Options{})
}

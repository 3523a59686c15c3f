package analyze_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/culprit-dev/culprit/analyze"
	"github.com/culprit-dev/culprit/analyze/bundle"
	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/rules"
	"github.com/culprit-dev/culprit/parsers"
	"github.com/culprit-dev/culprit/report"
)

// The whole program in one function: open a bundle, analyse it, look at the
// answer and write a report.
func Example() {
	ctx := context.Background()
	b, err := bundle.Open(ctx, []string{"../examples/incidents/lock-leak/bundle.tar.gz"}, bundle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	res, err := analyze.Run(ctx, b.Inputs, analyze.Config{
		Parsers:  parsers.All(),
		Rules:    rules.All(),
		Manifest: b.Manifest,
		Bundle:   analyze.Bundle{Name: b.Name},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Verdict.Status)
	for _, id := range res.Verdict.RootCauses {
		f := res.Finding(id)
		fmt.Printf("%s, %s: %s\n", f.Rule, f.Confidence, f.Evidence[0].Artifact)
	}
	md, _ := report.ByName("md")
	file, err := os.CreateTemp("", "report-*.md")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(file.Name())
	if err := md.Encode(file, res, report.Options{}); err != nil {
		log.Fatal(err)
	}
	if err := file.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// root_cause
	// go/leaked-lock, likely: goroutine_debug2.txt
}

// A source is read while it still finds inputs: large entries of a compressed
// archive are parsed while they are unpacked.
func ExampleRunFrom() {
	ctx := context.Background()
	b := bundle.New([]string{"../examples/incidents/lock-leak/bundle.tar.gz"}, bundle.Options{})
	defer b.Close()
	res, err := analyze.RunFrom(ctx, b.Source, analyze.Config{Parsers: parsers.All(), Rules: rules.All()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(res.Artifacts) == len(b.Inputs), res.Verdict.Status)
	// Output:
	// true root_cause
}

// Read stops after parsing: the facts are typed, and each says where it stands.
func ExampleRead() {
	ctx := context.Background()
	b, err := bundle.Open(ctx, []string{"../examples/incidents/hung-backend/bundle.tar.gz"}, bundle.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	read, err := analyze.Read(ctx, b.Inputs, analyze.Config{Parsers: parsers.All(), Manifest: b.Manifest})
	if err != nil {
		log.Fatal(err)
	}
	for s := range fact.All[fact.Socket](read.Store.View("example", "socket")) {
		if s.At.Artifact == "ss_tanpoe.txt" && s.State == fact.StateListen {
			fmt.Printf("%s: %s listens on %s:%s\n", s.At, s.Owners[0].Process, s.Local, s.LocalPort)
		}
	}
	// Output:
	// ss_tanpoe.txt:2: node listens on 0.0.0.0:6062
	// ss_tanpoe.txt:3: node listens on 0.0.0.0:6061
	// ss_tanpoe.txt:4: node listens on 0.0.0.0:3062
	// ss_tanpoe.txt:5: node listens on 0.0.0.0:3061
	// ss_tanpoe.txt:6: node listens on 127.0.0.1:3005
}

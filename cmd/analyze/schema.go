package main

import (
	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/report"
)

func (s *settings) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "schema [report|diff]",
		Short:     "Print the JSON Schema of the JSON report, or of a comparison",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"report", "diff"},
		RunE: func(_ *cobra.Command, args []string) error {
			schema := report.Schema()
			if len(args) > 0 && args[0] == "diff" {
				schema = report.DiffSchema()
			}
			_, err := s.stdout.Write(schema)
			return err
		},
	}
}

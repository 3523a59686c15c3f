package main

import (
	"github.com/spf13/cobra"

	"github.com/culprit-dev/culprit/report"
)

func (s *settings) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the JSON report",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := s.stdout.Write(report.Schema())
			return err
		},
	}
}

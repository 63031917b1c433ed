package main

import (
	"github.com/spf13/cobra"

	"greengate/configs"
)

func newSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of the group file, for editors",
		Args:  cobra.NoArgs,
		RunE: action(func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(configs.Schema())
			return err
		}),
	}
}

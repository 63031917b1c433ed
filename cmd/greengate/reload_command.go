package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newReload(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "have the running daemon read its group file again",
		Long: `Has the running daemon read its group file again, as SIGHUP does, and returns when it
has: with exit code 1 and the faults of the file if it was not taken up, in which case
the old one stays in force. It names the keys that have changed and wait for a restart.`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return show(a, *asJSON,
			func(d *client.Client) (client.Reloaded, error) { return d.Reload(cmd.Context()) },
			func(r client.Reloaded) error {
				if _, err := fmt.Fprintf(a.stdout, "generation %d is in force\n", r.Generation); err != nil || len(r.Waiting) == 0 {
					return err
				}
				_, err := fmt.Fprintf(a.stdout, "! at the next start only: %s\n", strings.Join(r.Waiting, ", "))
				return err
			})
	})
	return cmd
}

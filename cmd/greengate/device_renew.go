package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// issuedCredential is what `device add` and `device renew` tell.
type issuedCredential struct {
	Thing       string `json:"thing"`
	Fingerprint string `json:"fingerprint"`
	*credentialFiles
	Daemon string `json:"daemon"` // reloaded, not-running or failed
}

func newDeviceRenew(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "renew THING",
		Short: "issue a new certificate; the old one counts until the new one was used",
		Args:  thingArg,
	}
	out := cmd.Flags().String("out", ".", "the `folder` for the new files")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		done, err := a.renewDevice(cmd.Context(), args[0], *out)
		if done != nil {
			err = errors.Join(err, a.tellIssued(done, "renewed", *asJSON))
		}
		return err
	})
	return cmd
}

func (a *app) renewDevice(ctx context.Context, thing, out string) (*issuedCredential, error) {
	s, release, err := a.openSite(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := s.known(a.config, thing); err != nil {
		return nil, err
	}
	done, err := s.issue(thing, out)
	if err != nil {
		return nil, err
	}
	done.Daemon, err = a.takenUp(ctx, s.config)
	return done, err
}

// issue makes a certificate of thing and writes its files. After an error there
// are none.
func (s *site) issue(thing, out string) (*issuedCredential, error) {
	root := s.authority.RootPEM()
	files, err := reserve(out, thing, root)
	if err != nil {
		return nil, err
	}
	credential, err := s.authority.Issue(thing)
	if err != nil {
		files.remove()
		return nil, err
	}
	if err := files.fill(credential, root); err != nil {
		return nil, err
	}
	return &issuedCredential{Thing: thing, Fingerprint: credential.Fingerprint, credentialFiles: files}, nil
}

func (a *app) tellIssued(done *issuedCredential, verb string, asJSON bool) error {
	if asJSON {
		return a.printJSON(done)
	}
	_, err := fmt.Fprintf(a.stdout, "%s %s; copy these to the device:\n  %s\n  %s\n  %s\n%s\n",
		verb, done.Thing, done.Certificate, done.PrivateKey, done.RootCA, daemonWords(done.Daemon))
	return err
}

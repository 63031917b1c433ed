package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"greengate/configs"
)

func newDeviceAdd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add THING",
		Short: "add a device and issue its certificate",
		Long: `Adds the device to the group file, keeping its comments, and writes
THING.cert.pem, THING.private.key and root-ca.pem. A running daemon takes it up
at once. For a thing of the file that has no certificate yet, it issues one.`,
		Args: thingArg,
	}
	out := cmd.Flags().String("out", ".", "the `folder` for the files of the device")
	labels := cmd.Flags().StringArray("label", nil, "a `label` that rows can name; may be repeated")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		done, err := a.addDevice(cmd.Context(), args[0], *out, *labels)
		if done != nil {
			err = errors.Join(err, a.tellIssued(done, "added", *asJSON))
		}
		return err
	})
	return cmd
}

func (a *app) addDevice(ctx context.Context, thing, out string, labels []string) (*issuedCredential, error) {
	s, release, err := a.openSite(ctx)
	if err != nil {
		return nil, errors.Join(err, namedTooEarly(err, thing))
	}
	defer release()
	done, err := s.admit(a.config, thing, out, labels)
	if err != nil {
		return nil, err
	}
	done.Daemon, err = a.takenUp(ctx, s.config)
	return done, err
}

// namedTooEarly says how to go on when all that is wrong with a file is that its rows name the
// thing; nil when there is more, or something else.
func namedTooEarly(err error, thing string) error {
	var faults configs.Faults
	missing := fmt.Sprintf("no device is called %q", thing)
	if !errors.As(err, &faults) || slices.ContainsFunc(faults, func(f configs.Fault) bool { return f.Problem != missing }) {
		return nil
	}
	return badInput("write `- thing: %s` under devices; then `greengate device add %s` issues its certificate", thing, thing)
}

// admit issues the certificate and enters the thing in the file. What can fail
// and can be taken back comes first, and the file is changed last, by one
// rename: a failure leaves everything as it was.
func (s *site) admit(file, thing, out string, labels []string) (*issuedCredential, error) {
	text, err := s.withDevice(file, thing, labels)
	if err != nil {
		return nil, err
	}
	if text != nil {
		// A certificate from before the thing left the file must not come to
		// life again.
		if _, err := s.authority.Withdraw(thing); err != nil {
			return nil, err
		}
	}
	done, err := s.issue(thing, out)
	if err == nil && text != nil {
		if err = configs.WriteFile(file, text); err != nil {
			done.remove()
		}
	}
	if err != nil {
		// There was none on record before.
		_, undo := s.authority.Withdraw(thing)
		return nil, errors.Join(err, undo)
	}
	return done, nil
}

// withDevice returns the group file with the thing in it, or nil if it is in
// there and has no certificate yet.
func (s *site) withDevice(file, thing string, labels []string) ([]byte, error) {
	d := s.device(thing)
	if d == nil {
		text, err := configs.AddDevice(s.text, configs.DeviceEdit{Thing: thing, Labels: labels})
		if err != nil {
			return nil, badInput("%s: %w", file, err)
		}
		return text, nil
	}
	if len(labels) > 0 {
		return nil, badInput("%s:%d:%d: %q is in the group already (write its labels there)", file, d.Line, d.Column, thing)
	}
	issued, err := s.authority.Issued(thing)
	if err != nil {
		return nil, err
	}
	if len(issued) > 0 {
		return nil, badInput("%s:%d:%d: %q is in the group already and has a certificate (`greengate device renew %s` makes a new one)",
			file, d.Line, d.Column, thing, thing)
	}
	return nil, nil
}

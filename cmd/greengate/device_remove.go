package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greengate/configs"
)

// removedDevice is what `device remove` tells.
type removedDevice struct {
	Thing     string       `json:"thing"`
	Withdrawn int          `json:"withdrawn"` // certificates
	Rows      []removedRow `json:"rows"`      // taken out of the table
	Daemon    string       `json:"daemon"`    // reloaded, not-running or failed
}

func newDeviceRemove(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove THING",
		Short: "remove a device, withdraw its certificates and cut its connection",
		Args:  thingArg,
	}
	rows := cmd.Flags().Bool("rows", false, "remove the rows that name the thing, too")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		done, err := a.removeDevice(cmd.Context(), args[0], *rows)
		if done != nil {
			err = errors.Join(err, a.tellRemoved(done, *asJSON))
		}
		return err
	})
	return cmd
}

// removedRow is a row as it stood in the file before.
type removedRow struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

func (a *app) tellRemoved(done *removedDevice, asJSON bool) error {
	if asJSON {
		return a.printJSON(done)
	}
	fmt.Fprintf(a.stdout, "removed %s, %s withdrawn\n", done.Thing, counted(int64(done.Withdrawn), "certificate"))
	for _, r := range done.Rows {
		fmt.Fprintf(a.stdout, "removed from line %d: %s\n", r.Line, r.Text)
	}
	_, err := fmt.Fprintln(a.stdout, daemonWords(done.Daemon))
	return err
}

// removeDevice changes the group file first: from then on the thing is refused,
// whatever becomes of the rest.
func (a *app) removeDevice(ctx context.Context, thing string, rows bool) (*removedDevice, error) {
	s, release, err := a.openSite(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if _, err := s.known(a.config, thing); err != nil {
		return nil, err
	}
	text, gone, err := configs.RemoveDevice(s.text, thing, rows)
	if err != nil {
		return nil, inputError{stillNamed(a.config, err)}
	}
	if err := configs.WriteFile(a.config, text); err != nil {
		return nil, err
	}
	done := &removedDevice{Thing: thing, Rows: []removedRow{}}
	for _, r := range gone {
		done.Rows = append(done.Rows, removedRow(r))
	}
	if done.Withdrawn, err = s.authority.Withdraw(thing); err != nil {
		err = fmt.Errorf("%w (they open nothing any more: the thing is no device, and a new `device add` withdraws them first)", err)
	}
	// Even then the connection is cut.
	daemon, failed := a.takenUp(ctx, s.config)
	done.Daemon = daemon
	return done, errors.Join(err, failed)
}

// stillNamed lists the entries that name the thing, each with its place.
func stillNamed(file string, err error) error {
	var used *configs.InUse
	if !errors.As(err, &used) {
		return fmt.Errorf("%s: %w", file, err)
	}
	hint := fmt.Sprintf("`greengate device remove %s --rows` takes rows out, too", used.Thing)
	if len(used.Pins) > 0 {
		hint = "no command edits pins: change them by hand first"
	}
	var b strings.Builder
	for _, r := range slices.Concat(used.Rows, used.Pins) {
		fmt.Fprintf(&b, "%s:%d: names %s: %s\n", file, r.Line, used.Thing, r.Text)
	}
	return fmt.Errorf("%s%s is still named (%s)", &b, used.Thing, hint)
}

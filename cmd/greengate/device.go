package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/core/pki"
)

func newDevice(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "add, list, remove devices and renew their certificates",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newDeviceAdd(a), newDeviceList(a), newDeviceRemove(a), newDeviceRenew(a))
	return cmd
}

// site is the group file and the certificate authority, as the device commands
// work on them.
type site struct {
	config    *configs.Config
	text      []byte // of the file that config was read from
	authority *pki.Authority
}

// openSite reads both. Of several commands that change a site at once, each
// waits until the one before it has called release.
func (a *app) openSite(ctx context.Context) (s *site, release func(), err error) {
	if release, err = a.lockConfig(ctx); err != nil {
		return nil, nil, err
	}
	if s, err = a.readSite(); err != nil {
		release()
		return nil, nil, err
	}
	return s, release, nil
}

func (a *app) readSite() (*site, error) {
	text, err := os.ReadFile(a.config)
	if err != nil {
		return nil, inputError{a.explainMissing(err)}
	}
	c, err := configs.Parse(a.config, text)
	if err != nil {
		return nil, inputError{err}
	}
	authority, err := pki.Open(c.PKI.Dir, pki.Clock{})
	if err != nil {
		return nil, inputError{err}
	}
	return &site{config: c, text: text, authority: authority}, nil
}

// device returns the entry of a thing; nil if there is none.
func (s *site) device(thing string) *configs.Device {
	for i := range s.config.Devices {
		if s.config.Devices[i].Thing == thing {
			return &s.config.Devices[i]
		}
	}
	return nil
}

// known returns the entry of a thing that must be there.
func (s *site) known(file, thing string) (*configs.Device, error) {
	if d := s.device(thing); d != nil {
		return d, nil
	}
	return nil, badInput("%s: %q is no device of this group (`greengate device list` shows them)", file, thing)
}

// thingArg accepts exactly one thing name as the argument.
func thingArg(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one thing (not %d)", len(args))
	}
	return message.CheckThing(args[0])
}

// takenUp makes a running daemon take up what a command has changed, and says
// in a word what became of that.
func (a *app) takenUp(ctx context.Context, c *configs.Config) (string, error) {
	_, err := client.New(c.Socket()).Reload(ctx)
	switch {
	case err == nil:
		return "reloaded", nil
	case errors.Is(err, client.ErrNotRunning):
		return "not-running", nil
	}
	return "failed", fmt.Errorf("the change is made, but the running daemon did not take it up: %w", err)
}

// daemonWords says for a person what takenUp has returned.
func daemonWords(state string) string {
	switch state {
	case "reloaded":
		return "the running daemon has taken it up"
	case "not-running":
		return "the daemon is not running; it takes this up when it starts"
	}
	return "the running daemon has not taken it up"
}

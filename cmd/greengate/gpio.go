package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

func newGPIO(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gpio",
		Short: "list the pins, set, find and press them",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newGPIOList(a), newGPIOSet(a), newGPIOPress(a), newGPIOIdentify(a))
	return cmd
}

func newGPIOList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the pins, their levels and what they are bound to",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		return show(a, *asJSON,
			func(d *client.Client) (client.PinList, error) { return d.Pins(cmd.Context()) },
			func(list client.PinList) error { return a.writePinList(list.GPIO) })
	})
	return cmd
}

func (a *app) writePinList(list []client.Pin) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tPIN\tLEVEL\tSAFE\tDRIVER\tBOUND TO")
	for _, p := range list {
		pin, safe, bound := p.Pin, p.Safe, "messages only"
		if p.Header != "" && p.Header != p.Pin {
			pin += " " + p.Header
		}
		if safe == "" {
			safe = "-"
		}
		switch {
		case p.Topic != "":
			bound = "topic " + p.Topic
		case p.Thing != "":
			bound = p.Key + " of " + p.Thing
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Kind, pin, p.Level, safe, p.Mode, bound)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, p := range list {
		if p.Fault != "" {
			fmt.Fprintf(a.stdout, "%s fails: %s\n", p.Name, strings.ReplaceAll(p.Fault, "\n", "\n  "))
		}
	}
	return nil
}

func newGPIOSet(a *app) *cobra.Command {
	return a.pinCommand(&cobra.Command{
		Use:   "set NAME on|off",
		Short: "turn an LED on or off",
		Long: `Turns an LED on or off. One that a shadow drives keeps that until the key of the
shadow changes; what the shadow reports stays as it is.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 || args[1] != "on" && args[1] != "off" {
				return errors.New("name one LED, and on or off")
			}
			return nil
		},
	}, func(daemon *client.Client, cmd *cobra.Command, args []string) (string, error) {
		p, err := daemon.SetPin(cmd.Context(), args[0], args[1] == "on")
		said := p.Name + " is " + p.Level
		if p.Thing != "" {
			said += fmt.Sprintf(" until %s of %s is set anew", p.Key, p.Thing)
		}
		return said, err
	})
}

func newGPIOPress(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "press NAME [--hold D]",
		Short: "press a simulated button",
		Long: `Presses a simulated button and lets go of it. The command ends when the button has
published both. A button of the board can only be pressed by hand.`,
		Args: onePin,
	}
	hold := cmd.Flags().Duration("hold", 200*time.Millisecond, "how long it is held down: a `time` from 1ms to 1m")
	return a.pinCommand(cmd, func(daemon *client.Client, cmd *cobra.Command, args []string) (string, error) {
		if err := checkHold(*hold); err != nil {
			return "", inputError{fmt.Errorf("--hold: %w", err)}
		}
		p, err := daemon.PressPin(cmd.Context(), args[0], *hold)
		return fmt.Sprintf("%s was pressed and released, and has published both on %s", p.Name, p.Topic), err
	})
}

func newGPIOIdentify(a *app) *cobra.Command {
	return a.pinCommand(&cobra.Command{
		Use:   "identify NAME",
		Short: "blink an LED for two seconds, to see which one it is",
		Args:  onePin,
	}, func(daemon *client.Client, cmd *cobra.Command, args []string) (string, error) {
		p, err := daemon.IdentifyPin(cmd.Context(), args[0])
		return fmt.Sprintf("%s has blinked and is %s", p.Name, p.Level), err
	})
}

func onePin(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one pin")
	}
	return nil
}

// pinCommand gives cmd its work, which returns what it has done.
func (a *app) pinCommand(cmd *cobra.Command, work func(*client.Client, *cobra.Command, []string) (string, error)) *cobra.Command {
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		daemon, err := a.daemon()
		if err != nil {
			return err
		}
		said, err := work(daemon, cmd, args)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, said)
		return nil
	})
	return cmd
}

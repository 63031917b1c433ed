package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/gpio"
)

func newGPIO(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gpio",
		Short: "list the pins, set, find and press them",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newGPIOList(a), newGPIOSet(a), newGPIOPress(a), newGPIOIdentify(a), newGPIOSafe(a), newGPIOJudge(a))
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
			func(list client.PinList) error { return writePinList(a.stdout, &list) })
	})
	return cmd
}

// writePinList prints the board, a line for each pin, what is to say of some, and the
// drawing of the header.
func writePinList(out io.Writer, list *client.PinList) error {
	fmt.Fprintf(out, "board: %s\n", list.Board)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tPIN\tLEVEL\tSAFE\tDRIVER\tBOUND TO")
	header := false
	for _, p := range list.GPIO {
		pin, mode := p.Pin, p.Mode
		if p.Header != "" && p.Header != p.Pin {
			pin += " " + p.Header
		}
		if p.PWM != "" {
			mode += ", " + p.PWM
		}
		header = header || p.Header != ""
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Name, p.Kind, pin, level(&p), cmp.Or(p.Safe, "-"), mode, boundTo(&p))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i := range list.GPIO {
		writePinNotes(out, &list.GPIO[i])
	}
	if header {
		fmt.Fprintf(out, "\n%s\n", strings.TrimRight(list.Header, "\n"))
	}
	return nil
}

// level writes the level of a pin, or the last reading of a sensor.
func level(p *client.Pin) string {
	if len(p.Values) > 0 && p.Kind == "sensor" {
		words := make([]string, len(p.Values))
		for i, v := range p.Values {
			words[i] = strings.TrimSpace(fmt.Sprintf("%s %g %s", v.Quantity, v.Value, v.Unit))
		}
		return strings.Join(words, ", ")
	}
	if p.Unit != "" {
		return p.Level + " " + p.Unit
	}
	return p.Level
}

func boundTo(p *client.Pin) string {
	var words []string
	if p.Topic != "" {
		words = append(words, "topic "+p.Topic)
	}
	if p.Thing != "" {
		words = append(words, p.Key+" of "+p.Thing)
	}
	if len(words) == 0 {
		return "messages only"
	}
	return strings.Join(words, ", ")
}

// writePinNotes prints what is wrong with a pin, and what its contract did.
func writePinNotes(out io.Writer, p *client.Pin) {
	if p.Fault != "" {
		fmt.Fprintf(out, "%s fails: %s\n", p.Name, strings.ReplaceAll(p.Fault, "\n", "\n  "))
	}
	if p.Pending != "" {
		fmt.Fprintf(out, "%s is held back: it will be %s as soon as its contract allows it\n", p.Name, p.Pending)
	}
	for _, reason := range slices.Sorted(maps.Keys(p.Violations)) {
		fmt.Fprintf(out, "%s: %s refused for %s\n", p.Name, counted(int64(p.Violations[reason]), "command"), reason)
	}
	if p.MaxOn > 0 {
		fmt.Fprintf(out, "%s: turned off %s by max_on\n", p.Name, counted(int64(p.MaxOn), "time"))
	}
	if p.Held > 0 {
		fmt.Fprintf(out, "%s: %s not told, in a storm of edges\n", p.Name, counted(int64(p.Held), "change"))
	}
	if p.Lost > 0 {
		fmt.Fprintf(out, "%s: %s lost, which came faster than they could be read\n", p.Name, counted(int64(p.Lost), "edge"))
	}
}

func newGPIOSet(a *app) *cobra.Command {
	return a.pinCommand(&cobra.Command{
		Use:   "set NAME on|off|toggle|VALUE",
		Short: "set an output: an LED, a relay, a PWM, a servo",
		Long: `Sets an output as a message would, within its contract: on, off or toggle; the
percentage of a PWM; the angle of a servo. What its min_off or interlock forbids is
refused. An output that a shadow drives keeps that until the key of the shadow
changes; what the shadow reports stays as it is.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("name one output, and on, off, toggle or its value")
			}
			return nil
		},
	}, func(daemon *client.Client, cmd *cobra.Command, args []string) (string, error) {
		p, err := daemon.SetPin(cmd.Context(), args[0], args[1])
		said := p.Name + " is " + level(&p)
		if p.Thing != "" {
			said += fmt.Sprintf(" until %s of %s is set anew", p.Key, p.Thing)
		}
		return said, err
	})
}

func newGPIOSafe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "safe",
		Short: "put every output at its safe level, when no daemon runs",
		Long: `Puts every output of the group file at its safe level and lets go of it. A daemon does
that itself at its end; this is for one that was killed, and systemd runs it then
(ExecStopPost). Outputs that a running daemon holds are left alone.`,
		Args: cobra.NoArgs,
		RunE: action(func(*cobra.Command, []string) error {
			c, err := a.load()
			if err != nil || c.GPIO == nil {
				return err
			}
			return pinFaults(c, gpio.Safe(*c.GPIO, slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))))
		}),
	}
}

func newGPIOPress(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "press NAME [--hold D] [--times N]",
		Short: "press a simulated button, or move another simulated input",
		Long: `Presses a simulated button and lets go of it, or moves the line of a simulated input
or counter so. The command ends when that has taken effect: a button has published
it, a counter has counted it. An input of the board can only be moved by hand.`,
		Args: onePin,
	}
	hold := cmd.Flags().Duration("hold", 200*time.Millisecond, "how long it is held down: a `time` from 1ms to 1m")
	times := cmd.Flags().Int("times", 1, "how often: a `number` from 1 to 10000")
	return a.pinCommand(cmd, func(daemon *client.Client, cmd *cobra.Command, args []string) (string, error) {
		if err := checkHold(*hold); err != nil {
			return "", inputError{fmt.Errorf("--hold: %w", err)}
		}
		if err := checkTimes(*times); err != nil {
			return "", inputError{fmt.Errorf("--times: %w", err)}
		}
		p, err := daemon.PressPin(cmd.Context(), args[0], *times, *hold)
		return pressed(p, *times), err
	})
}

// pressed tells what pressing an input has done.
func pressed(p client.Pin, times int) string {
	often, pulses := "", "a pulse"
	if times > 1 {
		often, pulses = fmt.Sprintf(" %d times", times), fmt.Sprintf("%d pulses", times)
	}
	switch {
	case p.Kind == "button" && p.Topic != "":
		return fmt.Sprintf("%s was pressed and released%s, and publishes on %s", p.Name, often, p.Topic)
	case p.Kind == "button":
		return fmt.Sprintf("%s was pressed and released%s", p.Name, often)
	case p.Kind == "counter":
		return fmt.Sprintf("%s had %s, and is at %s", p.Name, pulses, level(&p))
	}
	return fmt.Sprintf("%s went there and back%s, and is %s", p.Name, often, p.Level)
}

func newGPIOIdentify(a *app) *cobra.Command {
	return a.pinCommand(&cobra.Command{
		Use:   "identify NAME",
		Short: "blink an output for two seconds, to see which one it is",
		Args:  onePin,
	}, func(daemon *client.Client, cmd *cobra.Command, args []string) (string, error) {
		p, err := daemon.IdentifyPin(cmd.Context(), args[0])
		return fmt.Sprintf("%s has blinked and is %s", p.Name, level(&p)), err
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
		_, err = fmt.Fprintln(a.stdout, said)
		return err
	})
	return cmd
}

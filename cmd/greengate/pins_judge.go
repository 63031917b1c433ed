package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"reflect"
	"time"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/gpio"
)

// A running daemon does not look for the board of a new file itself: that can be done only before a
// process opens files (see gpio.Check). This program does it for the daemon, by a hidden command.

func newGPIOJudge(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "judge",
		Short:  "tell what this machine cannot do of pins, for the daemon",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: action(func(*cobra.Command, []string) error {
			var c gpio.Config
			if err := json.NewDecoder(a.stdin).Decode(&c); err != nil {
				return badInput("read the pins: %w", err)
			}
			wrong := gpio.PinErrors{}
			if err := gpio.Check(c, slog.New(slog.DiscardHandler)); err != nil && !errors.As(err, &wrong) {
				return err
			}
			return a.printJSON(wrong)
		}),
	}
}

const judgeTime = 20 * time.Second // a board is found in less than one

// askJudge returns what this machine cannot do of pins; the error is that it is not known.
func askJudge(c gpio.Config) (wrong gpio.PinErrors, err error) {
	c.Sensors = nil // nobody judges them
	pins, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), judgeTime)
	defer cancel()
	var complaint bytes.Buffer
	judge := exec.CommandContext(ctx, "/proc/self/exe", "gpio", "judge") // also when an update has replaced the file
	judge.Args[0] = "greengate"
	judge.Stdin, judge.Stderr = bytes.NewReader(pins), &complaint
	text, err := judge.Output()
	if err != nil {
		return nil, cmp.Or(ctx.Err(), fmt.Errorf("%w %s", err, bytes.TrimSpace(complaint.Bytes())))
	}
	return wrong, json.Unmarshal(text, &wrong)
}

// judgePins refuses a file with which the next start would fail for its pins. Pins that are those
// of the start, or wait for a restart already, are not judged again: that their board has gone
// meanwhile is no reason to refuse what else changes.
func (g *gateway) judgePins(old, c *configs.Config) error {
	if c.GPIO == nil || reflect.DeepEqual(c.GPIO, g.begun.GPIO) || reflect.DeepEqual(c.GPIO, old.GPIO) {
		return nil
	}
	wrong, err := askJudge(*c.GPIO)
	if err != nil {
		g.log.Warn("the pins of the group file were not checked", "component", "gpio", "err", err)
	}
	if len(wrong) == 0 {
		return nil
	}
	return pinFaults(c, wrong)
}

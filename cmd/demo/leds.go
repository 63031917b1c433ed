package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// leds shows the LEDs of the gateway whenever they have changed, as a person
// would see them: the gateway itself says so only to those who ask.
func leds(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("demo leds", flag.ContinueOnError)
	greengate := flags.String("greengate", "greengate", "the `PROGRAM`")
	config := flags.String("config", "/etc/greengate/group.yaml", "the group `FILE`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for shown := ""; ; {
		now, err := look(ctx, *greengate, *config)
		if err != nil && ctx.Err() == nil {
			now = err.Error()
		}
		if now != shown && ctx.Err() == nil {
			say("%s", now)
			shown = now
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// look draws the LEDs as `greengate status` tells of them.
func look(ctx context.Context, greengate, config string) (string, error) {
	out, err := exec.CommandContext(ctx, greengate, "status", "--json", "--config", config).Output()
	if err != nil {
		return "", fmt.Errorf("ask for the status: %w", err)
	}
	var status struct {
		GPIO []struct{ Name, Level, Mode string }
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return "", fmt.Errorf("read the status: %w", err)
	}
	on, mode := map[string]bool{}, ""
	for _, pin := range status.GPIO {
		if slices.Contains(lampNames, pin.Name) { // and no button or sensor
			on[pin.Name] = pin.Level == "on"
			mode = pin.Mode
		}
	}
	return fmt.Sprintf("%s  at the gateway's pins (%s)", lamps(func(name string) bool { return on[name] }), mode), nil
}

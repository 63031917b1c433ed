package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// ownersTurn is how often the owner changes the light: seldom enough to see the switch
// at work in between.
const ownersTurn = 17 * time.Second

// owner is somebody far away, with the console of the cloud: he changes the light's
// shadow there, also while the plug of the gateway is pulled.
func owner(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("demo owner", flag.ContinueOnError)
	iotsim := flags.String("iotsim", "iotsim", "the `PROGRAM`")
	dir := flags.String("dir", "", "the `FOLDER` of the cloud")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if err := pause(ctx, ownersTurn); err != nil {
			return err
		}
		colour := "YRG"[n%3 : n%3+1]
		version, err := want(ctx, *iotsim, *dir, colour)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			say("desired.property = %s in the cloud: %v", colour, err)
		default:
			say("desired.property = %s in the cloud: accepted, version %d there", colour, version)
		}
	}
}

// want sets the colour in the cloud's shadow of the light, and returns its version.
func want(ctx context.Context, iotsim, dir, colour string) (int64, error) {
	request, err := json.Marshal(map[string]any{"state": map[string]any{"desired": map[string]string{"property": colour}}})
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, iotsim, "shadow", "update", trafficLight, string(request), "--dir", dir)
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(wrong.String()))
	}
	var accepted struct{ Version int64 }
	if err := json.Unmarshal(out, &accepted); err != nil {
		return 0, fmt.Errorf("read the answer of the cloud: %w", err)
	}
	return accepted.Version, nil
}

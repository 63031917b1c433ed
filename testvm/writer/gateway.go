package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// gateway is the greengate under test. Its log goes to where ours goes.
type gateway struct {
	program, config string
	cmd             *exec.Cmd // nil: it does not run
}

func (g *gateway) start() error {
	cmd := exec.Command(g.program, "run", "--config", g.config)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	g.cmd = cmd
	return nil
}

// kill ends it with SIGKILL.
func (g *gateway) kill() {
	if g.cmd != nil {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait() // it was killed, and says so
		g.cmd = nil
	}
}

// stop ends it with SIGTERM, which must end well.
func (g *gateway) stop() error {
	cmd := g.cmd
	g.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop the gateway: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("stop the gateway: %w", err)
	}
	return nil
}

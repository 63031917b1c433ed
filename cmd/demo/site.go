package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// site is a demo site: a folder with a group file, the programs, and the
// addresses that stand in the file.
type site struct {
	dir, file         string
	demo, greengate   string // the programs, as a person would type them
	broker, discovery string // HOST:PORT
	console           *console
}

// groupFile is the demo's group.yaml before its devices and rows are added.
const groupFile = `# The group of the demo. Change it while the demo runs, and say
#   pkill -HUP -f 'greengate run --config %[3]s'
# to let the gateway read it again; with a mistake in it, nothing changes.
version: 1
group: demo
core: demo_Core
data: data

# Only this machine can reach the demo, and it does not announce itself.
broker:
  listen: ["%[1]s"]
discovery:
  listen: ["%[2]s"]
  announce: false
admin:
  listen: ""
pki:
  dir: pki

devices: []
`

// groupRows goes to the end of the file, once its devices are there.
const groupRows = `
# Nothing passes without a row: the intruder has none.
subscriptions:
  - {from: sensor, topic: "sensors/#", to: "label:screen"}
`

// cast is who takes part; each is a subcommand of this program and a device of
// the group.
var cast = []struct{ name, label, colour string }{
	{"sensor", "", green}, {"display", "screen", cyan}, {"intruder", "", red},
}

// runSite makes the site if it is not there, and runs it until ctx ends or one
// of its processes does.
func runSite(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("demo site", flag.ContinueOnError)
	broker := flags.String("broker", "127.0.0.1:8883", "`ADDRESS` of the broker of a new site; where it is in use, the next free port")
	discovery := flags.String("discovery", "127.0.0.1:8443", "`ADDRESS` of discovery of a new site, likewise")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("the folder of the site is missing (write demo site DIR)")
	}
	s, err := openSite(ctx, flags.Arg(0), *broker, *discovery)
	if err != nil {
		return err
	}
	ps := newProcesses(s.console)
	err = s.play(ctx, ps)
	s.tell("stopping")
	if stopped := ps.stop(); err == nil {
		err = stopped
	}
	if err == nil {
		s.tell("all processes have ended")
	}
	return err
}

// openSite finds or makes the site in dir, and sees to it that its ports are
// free.
func openSite(ctx context.Context, dir, broker, discovery string) (*site, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the programs: %w", err)
	}
	bin := shorten(filepath.Dir(self))
	s := &site{
		dir: dir, file: filepath.Join(dir, "group.yaml"), console: newConsole(os.Stdout),
		demo: filepath.Join(bin, filepath.Base(self)), greengate: filepath.Join(bin, "greengate"),
	}
	if _, err := os.Stat(s.file); errors.Is(err, os.ErrNotExist) {
		if err := s.create(ctx, broker, discovery); err != nil {
			return nil, fmt.Errorf("make the demo site: %w", err)
		}
	}
	if err := s.readAddresses(); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.file, err)
	}
	for key, address := range map[string]string{"broker.listen": s.broker, "discovery.listen": s.discovery} {
		if !free(address) {
			return nil, fmt.Errorf("%s is in use, perhaps by another demo (stop that, or write another port at %s in %s)", address, key, s.file)
		}
	}
	return s, nil
}

// create makes the whole site beside its place and moves it there last, so that
// a demo which was interrupted does not leave half a site.
func (s *site) create(ctx context.Context, broker, discovery string) error {
	half := filepath.Clean(s.dir) + ".new"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	file := filepath.Join(half, "group.yaml")
	s.tell("making a demo site in %s", s.dir)
	if err := s.run(ctx, "init", half, "--group", "demo", "--core", "demo_Core"); err != nil {
		return err
	}
	broker, discovery = s.pick(broker, "the broker"), s.pick(discovery, "discovery")
	if err := os.WriteFile(file, fmt.Appendf(nil, groupFile, broker, discovery, s.file), 0o644); err != nil {
		return err
	}
	for _, device := range cast {
		add := []string{"device", "add", device.name, "--config", file, "--out", filepath.Join(half, "devices", device.name)}
		if device.label != "" {
			add = append(add, "--label", device.label)
		}
		if err := s.run(ctx, add...); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, groupRows...), 0o644); err != nil {
		return err
	}
	return os.Rename(half, s.dir)
}

// run runs one greengate command to its end.
func (s *site) run(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, s.greengate, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", s.greengate, strings.Join(args, " "), err, out)
	}
	return nil
}

// readAddresses takes the addresses from the file: a person may have changed
// them.
func (s *site) readAddresses() error {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	var group struct{ Broker, Discovery struct{ Listen []string } }
	if err := yaml.Unmarshal(text, &group); err != nil {
		return err
	}
	if len(group.Broker.Listen) == 0 || len(group.Discovery.Listen) == 0 {
		return errors.New("the demo needs an address at broker.listen and at discovery.listen")
	}
	s.broker, s.discovery = group.Broker.Listen[0], group.Discovery.Listen[0]
	return nil
}

// play starts the gateway, then its devices, and waits.
func (s *site) play(ctx context.Context, ps *processes) error {
	if err := ps.start("gateway", yellow, s.greengate, "run", "--config", s.file); err != nil {
		return err
	}
	if err := s.ready(ctx, ps); err != nil {
		return err
	}
	if err := ps.start("gate", purple, s.greengate, "watch", "--config", s.file); err != nil {
		return err
	}
	for _, device := range cast {
		if err := ps.start(device.name, device.colour, s.demo, s.deviceArgs(device.name, device.name)...); err != nil {
			return err
		}
	}
	// The hints scroll away under the traffic, so they come again.
	for next := 4 * time.Second; ; next = time.Minute {
		interval, cancel := context.WithTimeout(ctx, next)
		err := ps.wait(interval)
		cancel()
		if err != nil || ctx.Err() != nil {
			return err
		}
		s.hint()
	}
}

// ready asks discovery, as the sensor will, until it answers.
func (s *site) ready(ctx context.Context, ps *processes) error {
	d, err := loadDevice(filepath.Join(s.dir, "devices", victim), victim, s.discovery)
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		_, answer := d.discover(limit)
		if answer == nil {
			return nil
		}
		moment, cancel := context.WithTimeout(limit, 100*time.Millisecond)
		err := ps.wait(moment)
		cancel()
		switch {
		case err != nil || ctx.Err() != nil:
			return err
		case limit.Err() != nil:
			return fmt.Errorf("the gateway does not answer: %w", answer)
		}
	}
}

// deviceArgs is the command line of one device.
func (s *site) deviceArgs(role, thing string) []string {
	return []string{role, "--thing", thing, "--certs", filepath.Join(s.dir, "devices", thing), "--discovery", s.discovery}
}

// hint prints the three commands to try next.
func (s *site) hint() {
	wall := s.demo + " " + strings.Join(s.deviceArgs("display", "wall"), " ")
	if _, err := os.Stat(filepath.Join(s.dir, "devices", "wall")); err != nil {
		wall = fmt.Sprintf("%s device add wall --label screen --config %s --out %s && %s",
			s.greengate, s.file, filepath.Join(s.dir, "devices", "wall"), wall)
	}
	s.tell("try next, in a second terminal (Ctrl-C ends the demo):")
	s.tell("  %s status --config %s", s.greengate, s.file)
	s.tell("  %s explain --config %s --from intruder --topic %s", s.greengate, s.file, temperatureTopic)
	s.tell("  %s", wall)
}

func (s *site) tell(format string, args ...any) {
	s.console.print("demo", bold, s.console.paint(bold, fmt.Sprintf(format, args...)))
}

// pick returns address, or the same with the next free port.
func (s *site) pick(address, what string) string {
	host, port, err := net.SplitHostPort(address)
	first, _ := strconv.Atoi(port)
	if err != nil || free(address) {
		return address
	}
	for p := first + 1; p < first+100; p++ {
		if next := net.JoinHostPort(host, strconv.Itoa(p)); free(next) {
			s.tell("%s is in use, so %s gets %s", address, what, next)
			return next
		}
	}
	return address // the gateway will say what is wrong with it
}

// free tells whether nobody listens at address.
func free(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// shorten returns path as seen from the working directory, where that is short.
func shorten(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// site is a demo site: a folder with a group file, the programs, and the
// addresses that stand in the file.
type site struct {
	dir, file               string
	demo, greengate, iotsim string // the programs, as a person would type them
	function                string // that of the car aggregator, if it was built
	addresses
	button string // of the gateway; empty: a site of an older demo, without one

	hasFunction bool
	console     *console
	picked      map[string]bool // addresses, for a new site
}

// addresses are those of a site, HOST:PORT.
type addresses struct {
	broker, discovery string
	cloud, page       string // empty: a site of an older demo, without one
}

// cast is who takes part: subcommands of this program, each with the device of
// the group that it is.
var cast = []struct{ role, thing, label, colour string }{
	{"sensor", "sensor", "", green}, {"display", "display", "screen", cyan}, {"intruder", "intruder", "", red},
	{"light", trafficLight, "", yellow}, {"switch", theSwitch, "", blue},
}

// runSite makes the site if it is not there, and runs it until ctx ends or one
// of its processes does.
func runSite(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("demo site", flag.ContinueOnError)
	var a addresses
	flags.StringVar(&a.broker, "broker", "127.0.0.1:8883", "`ADDRESS` of the broker of a new site; where it is in use, the next free port")
	flags.StringVar(&a.discovery, "discovery", "127.0.0.1:8443", "`ADDRESS` of discovery of a new site, likewise")
	flags.StringVar(&a.cloud, "cloud", "127.0.0.1:8884", "`ADDRESS` of the cloud of a new site, likewise")
	flags.StringVar(&a.page, "page", "127.0.0.1:8080", "`ADDRESS` of the live page of a new site, likewise")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("the folder of the site is missing (write demo site DIR)")
	}
	s, err := openSite(ctx, flags.Arg(0), a)
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
func openSite(ctx context.Context, dir string, a addresses) (*site, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the programs: %w", err)
	}
	// With a slash, or the shell's path would be searched.
	program := func(name string) string {
		short := shorten(filepath.Join(filepath.Dir(self), name))
		if !strings.Contains(short, "/") {
			return "./" + short
		}
		return short
	}
	s := &site{
		dir: dir, file: filepath.Join(dir, "group.yaml"), console: newConsole(os.Stdout),
		demo: program(filepath.Base(self)), greengate: program("greengate"), iotsim: program("iotsim"), picked: map[string]bool{},
		function: program("car-aggregator"),
	}
	if _, err := os.Stat(s.file); errors.Is(err, os.ErrNotExist) {
		if err := s.create(ctx, a); err != nil {
			return nil, fmt.Errorf("make the demo site: %w", err)
		}
	}
	if err := s.readGroup(); err != nil {
		return nil, fmt.Errorf("read %s: %w", s.file, err)
	}
	for key, address := range map[string]string{"broker.listen": s.broker, "discovery.listen": s.discovery, "cloud.port": s.cloud, "admin.listen": s.page} {
		if address != "" && !free(address) {
			return nil, fmt.Errorf("%s is in use, perhaps by another demo (stop that, or write another port at %s in %s)", address, key, s.file)
		}
	}
	return s, nil
}

// readGroup takes what the demo must know from the file: a person may have changed
// it.
func (s *site) readGroup() error {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	var group struct {
		Broker, Discovery struct{ Listen []string }
		Admin             struct{ Listen string }
		Cloud             struct {
			Endpoint string
			Port     int
		}
		GPIO      struct{ Buttons []struct{ Name string } }
		Functions []struct{ Name string }
	}
	if err := yaml.Unmarshal(text, &group); err != nil {
		return err
	}
	if len(group.Broker.Listen) == 0 || len(group.Discovery.Listen) == 0 {
		return errors.New("the demo needs an address at broker.listen and at discovery.listen")
	}
	s.broker, s.discovery, s.page = group.Broker.Listen[0], group.Discovery.Listen[0], group.Admin.Listen
	if group.Cloud.Endpoint == "localhost" { // and not AWS, which a person may have tried
		s.cloud = net.JoinHostPort("127.0.0.1", strconv.Itoa(group.Cloud.Port))
	}
	s.hasFunction = len(group.Functions) > 0
	if b := group.GPIO.Buttons; len(b) > 0 {
		s.button = b[0].Name
	}
	return nil
}

// play starts the cloud, the gateway, then its devices, and waits.
func (s *site) play(ctx context.Context, ps *processes) error {
	if s.cloud != "" {
		if err := ps.start("cloud", blue, isLog, s.iotsim, "run", s.cloudDir(), "--listen", s.cloud, "--data", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	if err := ps.start("gateway", yellow, nil, s.greengate, "run", "--config", s.file); err != nil {
		return err
	}
	if err := s.ready(ctx, ps); err != nil {
		return err
	}
	s.tellPage()
	if err := ps.start("gate", purple, isAnswer, s.greengate, "watch", "--config", s.file); err != nil {
		return err
	}
	for _, device := range cast {
		if !s.has(device.thing) {
			continue
		}
		if err := ps.start(device.role, device.colour, nil, s.demo, s.deviceArgs(device.role, device.thing)...); err != nil {
			return err
		}
	}
	if s.has(trafficLight) {
		if err := ps.start("leds", yellow, nil, s.demo, "leds", "--greengate", s.greengate, "--config", s.file); err != nil {
			return err
		}
	} else {
		s.tell("this site was made by an older demo, without the traffic light (remove %s for a new one)", s.dir)
	}
	if s.cloud != "" && s.has(trafficLight) {
		if err := ps.start("owner", purple, nil, s.demo, "owner", "--iotsim", s.iotsim, "--dir", s.cloudDir()); err != nil {
			return err
		}
	}
	if s.cloud == "" {
		s.tell("this site was made by an older demo, without a cloud (remove %s for a new one)", s.dir)
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

// has tells whether the site has the files of a device: one that an older demo
// has made may not.
func (s *site) has(thing string) bool {
	_, err := os.Stat(filepath.Join(s.dir, "devices", thing))
	return err == nil
}

// isAnswer finds the lines of the gate about answers of the shadow service. One
// change of the light has so many that nobody would see the rest.
func isAnswer(line string) bool {
	return strings.Contains(line, "/shadow/") && (strings.Contains(line, "/accepted ") || strings.Contains(line, "/documents "))
}

// cloudDir is the folder of the cloud in a box.
func (s *site) cloudDir() string { return filepath.Join(s.dir, "cloud") }

// isLog finds the lines of the cloud's log: what it receives is enough to see.
func isLog(line string) bool { return strings.HasPrefix(line, "time=") }

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

// hint prints the commands to try next.
func (s *site) hint() {
	wall := s.demo + " " + strings.Join(s.deviceArgs("display", "wall"), " ")
	if !s.has("wall") {
		wall = fmt.Sprintf("%s device add wall --label screen --config %s --out %s && %s",
			s.greengate, s.file, filepath.Join(s.dir, "devices", "wall"), wall)
	}
	s.tellPage()
	s.tell("try next, in a second terminal (Ctrl-C ends the demo):")
	s.tell("  %s status --config %s", s.greengate, s.file)
	s.tell("  %s explain --config %s --from intruder --topic %s", s.greengate, s.file, temperatureTopic)
	if s.page != "" {
		s.tell("  %s admin token --config %s   # who logs in with it at the page may act there", s.greengate, s.file)
	}
	if s.has(trafficLight) {
		s.tell("  %s shadow get --config %s %s", s.greengate, s.file, trafficLight)
		s.tell("  %s gpio list --config %s", s.greengate, s.file)
	}
	if s.hasFunction {
		s.tell("  %s function list --config %s", s.greengate, s.file)
		s.tell("  %s function logs --config %s car-aggregator   # it counts the green lights", s.greengate, s.file)
	}
	if s.button != "" {
		s.tell("  %s gpio press --config %s %s --hold 1200ms   # a long press: the display hears it", s.greengate, s.file, s.button)
	}
	s.tell("  %s", wall)
	if s.cloud == "" {
		return
	}
	s.tell("and pull the plug of the cloud: readings wait on disk, and both sides change the light unseen by the other:")
	s.tell("  %s pull-plug --dir %s", s.iotsim, s.cloudDir())
	s.tell("  %s spool stats --config %s", s.greengate, s.file)
	if s.has(trafficLight) {
		s.tell("  %s shadow diff --config %s %s", s.greengate, s.file, trafficLight)
	}
	s.tell("  %s plug-in --dir %s", s.iotsim, s.cloudDir())
	if s.has(trafficLight) {
		s.tell("  %s shadow history --config %s %s", s.greengate, s.file, trafficLight)
		s.tell("  %s shadow get %s --dir %s", s.iotsim, trafficLight, s.cloudDir())
	}
	s.tell("  %s publish --dir %s cmd/display/note 'good morning'", s.iotsim, s.cloudDir())
}

// tellPage says where the live page is.
func (s *site) tellPage() {
	if s.page != "" {
		s.tell("see all of it in a browser, and click on what is refused: http://%s/", s.page)
	}
}

func (s *site) tell(format string, args ...any) {
	s.console.print("demo", bold, s.console.paint(bold, fmt.Sprintf(format, args...)))
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

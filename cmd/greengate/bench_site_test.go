package main_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"greengate/core/pki"
)

// The group that is measured is as large as the goals say.
const (
	benchDevices = 1_000
	benchRows    = 10_000
)

// benchSite is such a group, made by `greengate init`. Its keys are P-256: a
// thousand RSA keys take minutes to make. The bare server takes the same keys.
type benchSite struct {
	dir, file         string
	broker, discovery string // HOST:PORT
	things            []string
	clients           map[string]*tls.Config // by thing
}

// Things that carry the load.
func publisher(i int) string  { return fmt.Sprintf("publisher-%d", i) }
func subscriber(i int) string { return fmt.Sprintf("subscriber-%d", i) }

// stuck is the thing that subscribes to all of the load and never reads.
const stuck = "stuck"

// lamp is a simulated pin, which the first publisher drives by its topic.
const (
	lamp      = "lamp"
	lampTopic = "lamp/set"
)

// machine is one of the things that make the group large.
func machine(i int) string { return fmt.Sprintf("machine-%04d", i) }

// newBenchSite makes the group, and issues certificates for all its devices or,
// when that is enough, for those of the load.
func newBenchSite(tb testing.TB, all bool) *benchSite {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "site")
	s := &benchSite{
		dir: dir, file: filepath.Join(dir, "group.yaml"),
		broker: freeAddress(tb, "127.0.0.1"), discovery: freeAddress(tb, "127.0.0.1"),
	}
	if out, err := greengateCommand(tb, s.file, "init", dir, "--group", "bench", "--core", "bench_Core", "--key", "p-256").CombinedOutput(); err != nil {
		tb.Fatalf("greengate init: %v\n%s", err, out)
	}
	s.things = []string{stuck}
	for i := range pairs {
		s.things = append(s.things, publisher(i), subscriber(i))
	}
	load := len(s.things)
	for i := range benchDevices - load {
		s.things = append(s.things, machine(i))
	}
	if err := os.WriteFile(s.file, s.groupFile(), 0o644); err != nil {
		tb.Fatal(err)
	}
	if all {
		load = len(s.things)
	}
	s.issue(tb, s.things[:load])
	return s
}

// groupFile is a table as a plant might have it: beside the rows of the load
// each machine has some ten of its own, to its neighbour and to the cloud.
func (s *benchSite) groupFile() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `version: 1
group: bench
core: bench_Core
broker: {listen: [%q]}
discovery: {listen: [%q], announce: false}
admin: {listen: ""}
gpio: {driver: sim, leds: [{name: %s, pin: GPIO17}]}
devices:
`, s.broker, s.discovery, lamp)
	for i, thing := range s.things {
		fmt.Fprintf(&b, "  - {thing: %s, labels: [area-%d]}\n", thing, i%10)
	}
	b.WriteString("subscriptions:\n")
	rows := 0
	row := func(from, topic, to string) {
		if rows < benchRows {
			rows++
			fmt.Fprintf(&b, "  - {from: %q, topic: %q, to: %q}\n", from, topic, to)
		}
	}
	row("device:*", "telemetry/${from}/#", "cloud")
	row("cloud", "cmd/${to}/#", "device:*")
	row("label:area-0", "area-0/+/state", "label:area-0")
	row(publisher(0), lampTopic, "gpio:"+lamp)
	for i := range pairs {
		row(publisher(i), fmt.Sprintf("load/%d", i), subscriber(i))
		row(publisher(i), "load/#", stuck)
	}
	for i := 0; rows < benchRows; i++ {
		from, neighbour := machine(i%900), machine((i+1)%900)
		for _, signal := range []string{"temperature", "humidity", "pressure", "power", "speed", "state"} {
			row(from, fmt.Sprintf("plant/%s/%d/%s", from, i/900, signal), neighbour)
		}
		row(from, fmt.Sprintf("plant/%s/%d/alarm/#", from, i/900), "cloud")
		row("cloud", fmt.Sprintf("plant/%s/%d/set/+", from, i/900), from)
	}
	return b.Bytes()
}

// issue puts certificates on record as `greengate device add` does, without a
// process for each.
func (s *benchSite) issue(tb testing.TB, things []string) {
	tb.Helper()
	authority, err := pki.Open(filepath.Join(s.dir, "pki"), pki.Clock{})
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.RootPEM())
	s.clients = make(map[string]*tls.Config, len(things))
	for _, thing := range things {
		c, err := authority.Issue(thing)
		if err != nil {
			tb.Fatal(err)
		}
		cert, err := tls.X509KeyPair(c.CertPEM, c.KeyPEM)
		if err != nil {
			tb.Fatal(err)
		}
		s.clients[thing] = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}
	}
}

// dial connects a thing to a server.
func (s *benchSite) dial(to *server, thing string) (*loadClient, error) {
	return dialLoad(to.address, s.clients[thing], thing)
}

// greengateCommand prepares a call of the built program for the group in file.
func greengateCommand(tb testing.TB, file string, args ...string) *exec.Cmd {
	tb.Helper()
	path, err := program()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "GREENGATE_CONFIG="+file)
	return cmd
}

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"greengate/testvm/freeport"
)

// site is the folder that all servers are run from: one group CA and one server
// key for all, made by `greengate init`, and a group file for each size of group.
//
// The devices have certificates of a CA of their own. greengate knows them by
// their fingerprints in the group file, mosquitto by that CA. Once a certificate
// of its own CA has been used, greengate goes by the fingerprint, too, so a
// connection costs it the same either way.
type site struct {
	dir     string
	roots   *x509.CertPool
	brokers map[group]string // HOST:PORT of the MQTT listener
	devices map[string]*device
	crowd   []*device // all that are called dev-*, in order
}

// device is a client with its certificate.
type device struct {
	thing       string
	fingerprint [sha256.Size]byte
	tls         *tls.Config
	local       net.Addr // an address of its own on loopback
}

// How many devices there are of each kind.
const (
	pairs  = 10
	fanOut = 100   // subscribers
	fanIn  = 50    // publishers
	crowd  = 5_000 // devices that only connect
)

func publisherName(i int) string  { return fmt.Sprintf("pub-%d", i) }
func subscriberName(i int) string { return fmt.Sprintf("sub-%d", i) }
func crowdName(i int) string      { return fmt.Sprintf("dev-%04d", i) }
func machineName(i int) string    { return fmt.Sprintf("machine-%03d", i) }

// newSite makes the site in dir with the greengate program, for these groups.
func newSite(ctx context.Context, program, dir string, groups []group) (*site, error) {
	s := &site{dir: filepath.Join(dir, "site"), brokers: make(map[group]string), devices: make(map[string]*device)}
	out, err := exec.CommandContext(ctx, program, "init", s.dir, "--group", "bench", "--core", "bench_Core", "--key", "p-256").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("greengate init: %w\n%s", err, out)
	}
	root, err := os.ReadFile(s.path("pki", "root-ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("read the group CA: %w", err)
	}
	s.roots = x509.NewCertPool()
	if !s.roots.AppendCertsFromPEM(root) {
		return nil, fmt.Errorf("no certificate in the group CA's file")
	}
	if err := s.makeDevices(slices.MaxFunc(groups, func(a, b group) int { return a.crowd - b.crowd }).crowd); err != nil {
		return nil, err
	}
	for _, g := range groups {
		if err := s.writeGroup(g); err != nil {
			return nil, fmt.Errorf("write the group file of %s: %w", g.name, err)
		}
	}
	return s, s.makeCoreKeys()
}

func (s *site) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// makeDevices makes the CA of the devices, and a key and a certificate for each of
// those of the load and of a crowd.
func (s *site) makeDevices(crowd int) error {
	issuer, err := newIssuer()
	if err != nil {
		return fmt.Errorf("make the CA of the devices: %w", err)
	}
	if err := os.WriteFile(s.path("devices-ca.pem"), issuer.pem(), 0o600); err != nil {
		return err
	}
	var names []string
	for i := range fanIn {
		names = append(names, publisherName(i))
	}
	for i := range fanOut {
		names = append(names, subscriberName(i))
	}
	for i := range crowd {
		names = append(names, crowdName(i))
	}
	for n, thing := range names {
		cert, err := issuer.issue(thing)
		if err != nil {
			return fmt.Errorf("make the certificate of %s: %w", thing, err)
		}
		d := &device{
			thing: thing, fingerprint: sha256.Sum256(cert.Certificate[0]),
			// Go prefers a key exchange that OpenSSL 3.0 does not have: all servers
			// are to do the same work.
			tls: &tls.Config{
				RootCAs: s.roots, ServerName: "127.0.0.1", Certificates: []tls.Certificate{cert},
				CurvePreferences: []tls.CurveID{tls.X25519},
			},
			local: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n/250), byte(1+n%250))},
		}
		s.devices[thing] = d
		if len(names)-n <= crowd {
			s.crowd = append(s.crowd, d)
		}
	}
	return nil
}

// makeCoreKeys makes what the section `cloud` names. Nobody listens where it leads.
func (s *site) makeCoreKeys() error {
	issuer, err := newIssuer()
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(issuer.key)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"core.pem": issuer.pem(), "core.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// group is one size of the group that greengate is run with.
type group struct {
	name            string
	rows            int // in the table
	crowd, machines int // devices besides those of the load
}

var (
	// plant is what the load passes.
	plant = group{"plant", 100_000, 1_000, 900}
	// few has the same devices and only the rows of the pairs.
	few = group{"few", pairs, 1_000, 900}
	// home is a small group, for the memory of a gateway that idles.
	home = group{"home", pairs, 0, 0}
	// town has the most devices.
	town = group{"town", pairs, crowd, 0}
)

// writeGroup writes the file of a group with all switched on that a gateway can do:
// shadows, the spool of a cloud that is not reached, the page, a pin.
func (s *site) writeGroup(g group) error {
	var ports [3]string
	for i := range ports {
		var err error
		if ports[i], err = freeport.Take("127.0.0.1"); err != nil {
			return err
		}
	}
	s.brokers[g] = ports[0]
	var b bytes.Buffer
	fmt.Fprintf(&b, `version: 1
group: bench
core: bench_Core
data: data-%s
broker: {listen: [%q]}
discovery: {listen: [%q], announce: false}
admin: {listen: %q}
cloud: {endpoint: 127.0.0.1, port: 9, certificate: core.pem, key: core.key, ca: core.pem}
gpio: {driver: sim, leds: [{name: lamp, pin: GPIO17}]}
devices:
`, g.name, ports[0], ports[1], ports[2])
	for i := range fanIn {
		s.writeDevice(&b, publisherName(i), "publisher")
	}
	for i := range fanOut {
		s.writeDevice(&b, subscriberName(i), "subscriber")
	}
	for i := range g.crowd {
		s.writeDevice(&b, crowdName(i), "crowd")
	}
	for i := range g.machines {
		fmt.Fprintf(&b, "  - {thing: %s}\n", machineName(i))
	}
	b.WriteString("subscriptions:\n")
	writeRows(&b, g)
	return os.WriteFile(s.path(g.name+".yaml"), b.Bytes(), 0o600)
}

func (s *site) writeDevice(b *bytes.Buffer, thing, label string) {
	fmt.Fprintf(b, "  - {thing: %s, labels: [%s], certificate: \"sha256:%x\"}\n", thing, label, s.devices[thing].fingerprint)
}

// writeRows writes a table as a plant might have it: the rows of the load, and for
// each machine some of its own, to its neighbour and to the cloud.
func writeRows(b *bytes.Buffer, g group) {
	rows := 0
	row := func(from, topic, to string) {
		if rows < g.rows {
			rows++
			fmt.Fprintf(b, "  - {from: %q, topic: %q, to: %q}\n", from, topic, to)
		}
	}
	for i := range pairs {
		row(publisherName(i), fmt.Sprintf("load/%d", i), subscriberName(i))
	}
	row(publisherName(0), "load/all", "label:subscriber")
	for i := range fanIn {
		row(publisherName(i), fmt.Sprintf("in/%d", i), subscriberName(0))
	}
	if g.crowd > 0 {
		row("label:crowd", "self/${from}", "label:crowd")
	}
	for i := 0; rows < g.rows; i++ {
		from, neighbour := machineName(i%g.machines), machineName((i+1)%g.machines)
		for _, signal := range []string{"temperature", "humidity", "pressure", "power", "speed", "state"} {
			row(from, fmt.Sprintf("plant/%s/%d/%s", from, i/g.machines, signal), neighbour)
		}
		row(from, fmt.Sprintf("plant/%s/%d/alarm/#", from, i/g.machines), "cloud")
		row("cloud", fmt.Sprintf("plant/%s/%d/set/+", from, i/g.machines), from)
	}
}

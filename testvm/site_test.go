package testvm_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
	"greengate/testvm/streams"
)

// site is the group of the writer: certificates, and the greengate that serves it.
type site struct {
	greengate string // the program
	dir       string // with pki, devices and cloud
}

const core = "power_Core"

// newSite makes the site through the command line, as a user does.
func newSite(t *testing.T, greengate string) *site {
	t.Helper()
	s := &site{greengate: greengate, dir: filepath.Join(t.TempDir(), "site")}
	run(t, greengate, "init", s.dir, "--group", "power", "--core", core, "--key", "p-256")
	for _, thing := range things() {
		run(t, greengate, "device", "add", thing, "--config", filepath.Join(s.dir, "group.yaml"), "--out", filepath.Join(s.dir, "devices"))
	}
	folder := filepath.Join(s.dir, "cloud")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	ca, err := cloudtest.OpenAuthority(folder)
	if err == nil {
		err = ca.WriteFiles(cloudtest.FilesIn(folder, core), core)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func things() []string {
	list := []string{streams.Reader, streams.Late}
	for _, s := range streams.All {
		list = append(list, s.Thing)
	}
	return list
}

// copy copies the folder. (os.CopyFS would open the keys to all.)
func (s *site) copy(to string) error {
	if text, err := exec.Command("cp", "-a", s.dir, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the site: %w\n%s", err, text)
	}
	return nil
}

// place is where a gateway of the site runs.
type place struct {
	data             string // folder
	broker, discover string // HOST:PORT
	cloud            string // HOST:PORT, where it looks for the cloud
	shadow           string // sync or local
}

var inMachine = place{data: "/disk/data", broker: "127.0.0.1:8883", discover: "127.0.0.1:8443", cloud: "127.0.0.1:8884", shadow: "sync"}

// write writes the group file for that place into the folder of a site.
func (p place) write(dir string) error {
	_, port, err := net.SplitHostPort(p.cloud)
	if err != nil {
		return err
	}
	files := cloudtest.FilesIn("cloud", core)
	var b strings.Builder
	fmt.Fprintf(&b, `version: 1
group: power
core: %s
data: %s
broker: {listen: ["%s"]}
discovery: {listen: ["%s"], announce: false}
admin: {listen: ""}
pki: {dir: pki}
cloud:
  endpoint: localhost
  port: %s
  certificate: %s
  key: %s
  ca: %s
  spool: {max_size: 32MiB}
  rate: {messages: 100000, bytes: 100MiB}
devices:
`, core, p.data, p.broker, p.discover, port, files.Certificate, files.Key, files.CA)
	for _, thing := range things() {
		fmt.Fprintf(&b, "  - {thing: %s, shadow: %s}\n", thing, p.shadow)
	}
	b.WriteString("subscriptions:\n")
	for i, s := range streams.All {
		switch s.Store {
		case streams.Session:
			fmt.Fprintf(&b, "  - {from: %s, topic: %q, to: %s}\n", s.Thing, s.Topic, streams.Reader)
		case streams.Kept:
			fmt.Fprintf(&b, "  - {from: %s, topic: %q, to: %s}\n", s.Thing, s.Topic, streams.Late)
		case streams.Spool:
			fmt.Fprintf(&b, "  - {from: %s, topic: %q, to: cloud, priority: %s}\n", s.Thing, s.Topic, []string{"high", "low"}[i%2])
		}
	}
	return os.WriteFile(filepath.Join(dir, "group.yaml"), []byte(b.String()), 0o644)
}

// extract takes the files off an image of the machine's disk, as the start after
// a power cut finds them: the file system is repaired as systemd does it, without
// asking anybody. fault says what a person would have to do; err is about this
// test.
func extract(image, dir string) (fault string, err error) {
	text, err := exec.Command("e2fsck", "-p", image).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 1 { // 1: repaired
		return fmt.Sprintf("the file system needs a person: %s", text), nil
	}
	if err != nil && exit == nil {
		return "", err
	}
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return "", err
	}
	// debugfs has no exit code for a command that fails.
	if text, err = exec.Command("debugfs", "-R", "rdump / "+dir, image).CombinedOutput(); err != nil {
		return "", fmt.Errorf("debugfs: %w\n%s", err, text)
	}
	return "", nil
}

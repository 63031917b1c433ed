package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"greengate/testvm/freeport"
)

// The end-to-end tests run the built program as its users do: each makes a site
// of its own through the command line, starts `greengate run`, and talks to it
// with real clients over its public interfaces. This file is that site.

// patience bounds every wait for something that must happen. It is long, since
// it only costs time when a test fails, and the machine may be busy.
const patience = time.Minute

// program builds greengate once, beside the test binary: the go command removes
// that folder when the tests are over. $GREENGATE_UNDER_TEST names another build, such
// as one for another processor (testvm/install).
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("GREENGATE_UNDER_TEST"); path != "" {
		return path, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "greengate-under-test")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build greengate: %w\n%s", err, out)
	}
	return path, nil
})

// site is one group: its folder, its file, and where it listens.
type site struct {
	t                 *testing.T
	dir, file         string
	broker, discovery string   // HOST:PORT
	env               []string // of the commands, besides that of the test
	in                *network // in which its clients are; nil: where the test is
}

// newSite makes a site with `greengate init` and adds the things to it.
func newSite(t *testing.T, things ...string) *site {
	t.Helper()
	return newSiteWith(t, nil, things...)
}

// newSiteWith is newSite with flags for init.
func newSiteWith(t *testing.T, flags []string, things ...string) *site {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	s := &site{
		t: t, dir: dir, file: filepath.Join(dir, "group.yaml"),
		broker: freeAddress(t, "127.0.0.1"), discovery: freeAddress(t, "127.0.0.1"),
	}
	s.greengate(append([]string{"init", dir, "--group", "e2e", "--core", "e2e_Core"}, flags...)...)
	s.listenAt(s.broker, s.discovery)
	s.set(false, "discovery", "announce")
	s.set("", "admin", "listen")
	for _, thing := range things {
		s.add(thing)
	}
	return s
}

// listenAt writes the addresses of the broker and of discovery into the file.
func (s *site) listenAt(broker string, discovery ...string) {
	s.t.Helper()
	s.broker, s.discovery = broker, discovery[0]
	s.set([]string{broker}, "broker", "listen")
	s.set(discovery, "discovery", "listen")
}

// freeAddress is an address of host where nobody listens.
func freeAddress(t testing.TB, host string) string {
	t.Helper()
	address, err := freeport.Take(host)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// hostPort splits the address of the broker.
func (s *site) hostPort() (host, port string) {
	host, port, _ = net.SplitHostPort(s.broker)
	return host, port
}

// folder is where the files of a device are.
func (s *site) folder(thing string) string { return filepath.Join(s.dir, "devices", thing) }

// add makes a device with `greengate device add`.
func (s *site) add(thing string, flags ...string) {
	s.t.Helper()
	s.greengate(append([]string{"device", "add", thing, "--out", s.folder(thing)}, flags...)...)
}

// greengate runs a command that must succeed, and returns its standard output.
func (s *site) greengate(args ...string) string {
	s.t.Helper()
	stdout, stderr, code := s.command(args...)
	if code != 0 {
		s.t.Fatalf("greengate %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// fails runs a command that must end with code, and returns its standard error.
func (s *site) fails(code int, args ...string) string {
	s.t.Helper()
	stdout, stderr, got := s.command(args...)
	if got != code {
		s.t.Fatalf("greengate %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, stdout, stderr)
	}
	return stderr
}

func (s *site) command(args ...string) (stdout, stderr string, code int) {
	s.t.Helper()
	cmd := s.prepare(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		s.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func (s *site) prepare(args ...string) *exec.Cmd {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(append(os.Environ(), "GREENGATE_CONFIG="+s.file), s.env...)
	return cmd
}

// set writes one value into the group file, as a person would with an editor:
// all else stays as it is.
func (s *site) set(value any, path ...string) {
	s.t.Helper()
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		s.t.Fatal(err)
	}
	at := doc.Content[0]
	for _, key := range path {
		at = child(at, key)
	}
	comments := *at
	if err := at.Encode(value); err != nil {
		s.t.Fatal(err)
	}
	at.HeadComment, at.LineComment, at.FootComment = comments.HeadComment, comments.LineComment, comments.FootComment
	if text, err = yaml.Marshal(&doc); err != nil {
		s.t.Fatal(err)
	}
	s.write(string(text))
}

// child finds the value of key in a mapping, or adds it.
func child(mapping *yaml.Node, key string) *yaml.Node {
	if mapping.Kind != yaml.MappingNode {
		*mapping = yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	return value
}

// write replaces the group file as a good editor does, in one step.
func (s *site) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.file+".edit", []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(s.file+".edit", s.file); err != nil {
		s.t.Fatal(err)
	}
}

// row is one row of the table, in the words of the file.
type row struct {
	From     any      `yaml:"from"`
	Topic    string   `yaml:"topic,omitempty"`
	To       any      `yaml:"to,omitempty"`
	Shadow   string   `yaml:"shadow,omitempty"`
	May      []string `yaml:"may,omitempty,flow"`
	Priority string   `yaml:"priority,omitempty"`
	Durable  bool     `yaml:"durable,omitempty"`
}

// rows makes the table of the file consist of these.
func (s *site) rows(rows ...row) {
	s.t.Helper()
	s.set(rows, "subscriptions")
}

package gpio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greengate/testvm/mqtt"
)

// greengate is the program under test.
const greengate = "/greengate"

const address = "127.0.0.1:8883"

// site makes the folder of the group once: its keys, and two things.
var site = sync.OnceValues(func() (string, error) {
	const dir = "/tmp/site"
	commands := [][]string{
		{"init", dir, "--group", "pins", "--core", "pins_Core", "--key", "p-256"},
		{"device", "add", "light", "--config", dir + "/group.yaml", "--out", dir + "/devices"},
		{"device", "add", "panel", "--config", dir + "/group.yaml", "--out", dir + "/devices"},
	}
	for _, args := range commands {
		if text, err := exec.Command(greengate, args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("greengate %s: %w\n%s", strings.Join(args, " "), err, text)
		}
	}
	return dir, nil
})

// gateway is `greengate run` with the pins of one test.
type gateway struct {
	t     *testing.T
	file  string
	cmd   *exec.Cmd
	log   *log
	ended chan error // once
}

// writeFile writes a group file with that gpio section and those rows, YAML both, and
// returns its path.
func writeFile(t *testing.T, gpio string, rows ...string) string {
	t.Helper()
	dir, err := site()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`version: 1
group: pins
core: pins_Core
data: %s
broker: {listen: ["%s"]}
discovery: {listen: ["127.0.0.1:8443"], announce: false}
admin: {listen: ""}
pki: {dir: pki}
devices: [{thing: light}, {thing: panel}]
subscriptions: [%s]
gpio:
%s`, filepath.Join(t.TempDir(), "data"), address, strings.Join(rows, ", "), gpio)
	file := filepath.Join(dir, "group.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// run starts the gateway, and waits until it takes connections. It ends with the test.
func run(t *testing.T, gpio string, rows ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, file: writeFile(t, gpio, rows...), log: &log{}, ended: make(chan error, 1)}
	g.cmd = exec.Command(greengate, "run", "--config", g.file)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { g.ended <- g.cmd.Wait() }()
	t.Cleanup(func() {
		g.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the gateway said:\n%s", g.log)
		}
	})
	eventually(t, "the gateway runs", func() bool {
		select {
		case err := <-g.ended:
			g.ended <- err
			t.Fatalf("the gateway did not start: %v", err)
		default:
		}
		_, _, code := g.command("status")
		return code == 0
	})
	return g
}

// end ends the gateway with a signal, and returns when it is gone.
func (g *gateway) end(signal os.Signal) {
	g.t.Helper()
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Signal(signal) // it may be gone already
	select {
	case <-g.ended:
		g.cmd = nil
	case <-time.After(patience):
		g.t.Errorf("the gateway does not end by %v", signal)
		_ = g.cmd.Process.Kill()
	}
}

// command runs a command of greengate against this gateway.
func (g *gateway) command(args ...string) (stdout, stderr string, code int) {
	g.t.Helper()
	return command(g.t, append(args, "--config", g.file)...)
}

// must runs a command that must succeed, and returns what it says.
func (g *gateway) must(args ...string) string {
	g.t.Helper()
	stdout, stderr, code := g.command(args...)
	if code != 0 {
		g.t.Fatalf("greengate %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, diagnosis bytes.Buffer
	cmd := exec.Command(greengate, args...)
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), diagnosis.String(), cmd.ProcessState.ExitCode()
}

// pin is what `greengate gpio list --json` says of one.
type pin struct {
	Name, Kind, Level, Mode, Fault string
	Violations                     map[string]int
}

func (g *gateway) pins() map[string]pin {
	g.t.Helper()
	var list struct{ GPIO []pin }
	if err := json.Unmarshal([]byte(g.must("gpio", "list", "--json")), &list); err != nil {
		g.t.Fatal(err)
	}
	pins := map[string]pin{}
	for _, p := range list.GPIO {
		pins[p.Name] = p
	}
	return pins
}

// reported returns a key of the reported state of the light, as JSON.
func (g *gateway) reported(key string) string {
	g.t.Helper()
	stdout, _, code := g.command("shadow", "get", "light")
	var document struct {
		State struct{ Reported map[string]json.RawMessage }
	}
	if code != 0 || json.Unmarshal([]byte(stdout), &document) != nil {
		return ""
	}
	return string(document.State.Reported[key])
}

// device is a thing that is connected.
type device struct {
	t      *testing.T
	client *mqtt.Client
	id     uint16
	acks   chan uint16
	inbox  chan message
}

type message struct {
	topic   string
	payload []byte
	at      time.Time
}

// connect connects a thing that hears those topics.
func connect(t *testing.T, thing string, topics ...string) *device {
	t.Helper()
	dir, err := site()
	if err != nil {
		t.Fatal(err)
	}
	credential, err := mqtt.Credential(filepath.Join(dir, "devices"), thing)
	if err != nil {
		t.Fatal(err)
	}
	client, _, err := mqtt.Dial(address, credential, thing, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	for _, topic := range topics {
		if err := client.Subscribe(topic); err != nil {
			t.Fatal(err)
		}
	}
	d := &device{t: t, client: client, acks: make(chan uint16, 1000), inbox: make(chan message, 10_000)}
	go d.listen()
	return d
}

// listen takes what comes in until the connection ends.
func (d *device) listen() {
	defer close(d.inbox)
	for {
		p, err := d.client.Read()
		switch {
		case err != nil:
			return
		case p.Kind == mqtt.Puback:
			d.acks <- p.ID
		case p.Kind == mqtt.Publish:
			if p.ID != 0 {
				_ = d.client.Ack(p.ID) // else Read will fail, too
			}
			d.inbox <- message{p.Topic, p.Payload, time.Now()}
		}
	}
}

// publish sends a message, and waits until the gateway has it.
func (d *device) publish(topic, payload string) {
	d.t.Helper()
	d.send(topic, payload)
	d.acknowledged()
}

// send sends a message with QoS 1.
func (d *device) send(topic, payload string) {
	d.t.Helper()
	d.id++
	if err := d.client.Publish(topic, []byte(payload), d.id, false); err != nil {
		d.t.Fatal(err)
	}
}

// acknowledged waits until the gateway has taken one more message.
func (d *device) acknowledged() {
	d.t.Helper()
	select {
	case <-d.acks:
	case <-time.After(patience):
		d.t.Fatal("the gateway does not acknowledge a message")
	}
}

// next waits for a message.
func (d *device) next() message {
	d.t.Helper()
	select {
	case m, ok := <-d.inbox:
		if !ok {
			d.t.Fatal("the connection has ended")
		}
		return m
	case <-time.After(patience):
		d.t.Fatal("no message came")
	}
	return message{}
}

// log keeps what the gateway says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"greengate/sync/cloud/cloudtest"
)

const patience = time.Minute

// output collects what a program prints, and lets a test wait for it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{}, 1)} }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// waits waits until the program has printed text.
func (o *output) waits(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		if s := o.String(); strings.Contains(s, text) {
			return s
		}
		select {
		case <-o.changed:
		case <-timeout:
			t.Fatalf("%q was not printed, only %q", text, o.String())
		}
	}
}

// startSim runs `iotsim run` in dir and returns the address of MQTT.
func startSim(t *testing.T, dir string) (addr string, out *output, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out = newOutput()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"run", dir, "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0", "--core", "core"}, out, out)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("iotsim run ended with %d: %s", c, out)
		}
	})
	t.Cleanup(stop)
	text := out.waits(t, "iotsim: MQTT on ")
	_, addr, _ = strings.Cut(text, "MQTT on ")
	addr, _, _ = strings.Cut(addr, ",")
	return addr, out, stop
}

// call runs another command and wants this exit code.
func call(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if code := run(t.Context(), args, &out, &out); code != want {
		t.Errorf("iotsim %s ended with %d, want %d: %s", strings.Join(args, " "), code, want, &out)
	}
	return out.String()
}

// connectCore connects as the core, with the files that iotsim wrote.
func connectCore(t *testing.T, dir, addr string) (manager *autopaho.ConnectionManager, heard chan string) {
	t.Helper()
	f := cloudtest.FilesIn(dir, "core")
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	server, err := url.Parse("tls://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	heard = make(chan string, 100)
	manager, err = autopaho.NewConnection(t.Context(), autopaho.ClientConfig{
		ServerUrls: []*url.URL{server},
		TlsCfg:     &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots},
		KeepAlive:  30,
		// Above the cloud's one CONNECT a second.
		ReconnectBackoff: func(int) time.Duration { return 1100 * time.Millisecond },
		ClientConfig: paho.ClientConfig{
			ClientID: "core",
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
				heard <- p.Packet.Topic + " " + string(p.Packet.Payload)
				return true, nil
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := manager.AwaitConnection(ctx); err != nil {
		t.Fatal(err)
	}
	return manager, heard
}

func TestRunAndCommands(t *testing.T) {
	dir := t.TempDir()
	addr, out, _ := startSim(t, dir)
	core, heard := connectCore(t, dir, addr)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := core.Publish(ctx, &paho.Publish{Topic: "plant/temperature", QoS: 1, Payload: []byte(`{"t":20}`)}); err != nil {
		t.Fatal(err)
	}
	out.waits(t, `core plant/temperature {"t":20}`)
	if _, err := core.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{
		{Topic: "command/#", QoS: 1}, {Topic: "$aws/things/lamp/shadow/update/delta", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	hears := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if !strings.HasPrefix(got, want) {
				t.Errorf("heard %q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("%q was not heard", want)
		}
	}
	call(t, 0, "publish", "command/on", "now", "--dir", dir)
	hears("command/on now")
	call(t, 0, "shadow", "update", "lamp", `{"state":{"desired":{"on":true}}}`, "--dir", dir)
	hears(`$aws/things/lamp/shadow/update/delta {"metadata"`)
	if got := call(t, 0, "shadow", "--dir", dir, "get", "lamp"); !strings.Contains(got, `"delta":{"on":true}`) {
		t.Errorf("shadow get printed %s", got)
	}
	call(t, exitUsage, "shadow", "get", "nobody", "--dir", dir)
	call(t, 0, "fault", "clock", "-48h", "--dir", dir)
	got := call(t, 0, "status", "--dir", dir)
	for _, want := range []string{"publishes: 1 taken", "client core", "connected from 127.0.0.1", "2 subscriptions", "shadows: 1", "fault ClockOffset: "} {
		if !strings.Contains(got, want) {
			t.Errorf("status prints no %q:\n%s", want, got)
		}
	}
	call(t, 0, "heal", "--dir", dir)
	if got := call(t, 0, "status", "--dir", dir); strings.Contains(got, "fault ") {
		t.Errorf("status after heal:\n%s", got)
	}
	call(t, exitUsage, "fault", "gremlins", "on", "--dir", dir)
	call(t, exitUsage, "fault", "refuse", "--dir", dir)
	call(t, exitUsage, "nonsense")
	if got := call(t, 0, "cut", "--dir", dir); got != "connections: 1\n" {
		t.Errorf("cut printed %q", got)
	}
}

func TestPulledPlugOfTheProgram(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("IOTSIM_DIR", dir)
	addr, out, _ := startSim(t, dir)
	core, _ := connectCore(t, dir, addr)
	call(t, 0, "pull-plug")
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := core.Publish(short, &paho.Publish{Topic: "t", QoS: 1, Payload: []byte("lost")}); err == nil {
		t.Error("a PUBACK with the plug pulled")
	}
	call(t, 0, "plug-in")
	// Connected again after the RST, or, until the client has noticed that, not
	// yet: then the publish fails and is tried again.
	start := time.Now()
	for i := 0; ; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := core.AwaitConnection(ctx); err != nil {
			t.Fatal(err)
		}
		// One that was sent as its connection ended waits for ever.
		try, end := context.WithTimeout(ctx, time.Second)
		_, err := core.Publish(try, &paho.Publish{Topic: "t", QoS: 1, Payload: fmt.Append(nil, "again ", i)})
		end()
		cancel()
		if err == nil {
			break
		}
		if time.Since(start) > patience {
			t.Fatalf("no publish gets through: %v", err)
		}
		<-time.After(10 * time.Millisecond)
	}
	out.waits(t, "core t again")
	if strings.Contains(out.String(), "lost") {
		t.Error("a message came through without a plug")
	}
}

func TestCertificatesAreKept(t *testing.T) {
	dir := t.TempDir()
	_, _, stop := startSim(t, dir)
	first, err := os.ReadFile(filepath.Join(dir, "core.cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	call(t, exitFailed, "run", dir) // there is one already
	stop()
	call(t, exitNotRunning, "status", "--dir", dir)
	other := t.TempDir()
	call(t, 0, "certificate", "core", "--dir", dir, "--out", other)
	addr, _, _ := startSim(t, dir)
	if again, err := os.ReadFile(filepath.Join(dir, "core.cert.pem")); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the certificate changed (%v)", err)
	}
	connectCore(t, other, addr)
	if info, err := os.Stat(filepath.Join(other, "core.private.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", info, err)
	}
}

// What AWS keeps is there again after Ctrl-C and another `iotsim run`: else a site would
// see each of its shadows deleted.
func TestShadowsAreKept(t *testing.T) {
	dir := t.TempDir()
	_, _, stop := startSim(t, dir)
	call(t, 0, "shadow", "update", "lamp", `{"state":{"desired":{"on":true},"reported":{"level":1.50}}}`, "--dir", dir)
	call(t, 0, "shadow", "update", "lamp", `{"state":{"reported":{"on":true}}}`, "--dir", dir, "--name", "night")
	call(t, 0, "shadow", "update", "gone", `{"state":{"desired":{"on":true}}}`, "--dir", dir)
	call(t, 0, "shadow", "delete", "gone", "--dir", dir)
	call(t, 0, "publish", "plant/state", "on", "--retain", "--dir", dir)
	// Not only at the end: the machine may lose its power.
	for start := time.Now(); ; <-time.After(10 * time.Millisecond) {
		if text, _ := os.ReadFile(filepath.Join(dir, keptName)); bytes.Contains(text, []byte("plant/state")) {
			break
		}
		if time.Since(start) > patience {
			t.Fatal("nothing is kept while it runs")
		}
	}
	// A document as it is read, without the time of the answer.
	document := func(args ...string) string {
		text := call(t, 0, append([]string{"shadow", "get", "lamp", "--dir", dir}, args...)...)
		return text[:strings.LastIndex(text, `"timestamp"`)]
	}
	classic, night := document(), document("--name", "night")
	stop()
	_, _, stop = startSim(t, dir)
	if now := document(); now != classic {
		t.Errorf("the shadow is\n%s\nand was\n%s", now, classic)
	}
	if now := document("--name", "night"); now != night {
		t.Errorf("the named shadow is\n%s\nand was\n%s", now, night)
	}
	if got := call(t, 0, "shadow", "update", "gone", `{"state":{"desired":{"on":true}}}`, "--dir", dir); strings.Contains(got, `"version":1,`) {
		t.Errorf("the versions of a deleted shadow begin anew: %s", got)
	}
	if got := call(t, 0, "status", "--dir", dir); !strings.Contains(got, "retained messages: 1") {
		t.Errorf("status prints no retained message:\n%s", got)
	}
	stop()
	if err := os.WriteFile(filepath.Join(dir, keptName), []byte(`{"shadows":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call(t, exitFailed, "run", dir, "--listen", "127.0.0.1:0", "--data", "127.0.0.1:0"); !strings.Contains(got, keptName) {
		t.Errorf("with a damaged file it prints %s", got)
	}
}

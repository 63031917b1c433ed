package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// BenchmarkFunctionCalls measures warm calls of a function in Go, through the gate and
// back: a message of a device is let through to the function, which answers, and its answer
// is let through to a simulated pin. Beside it, in the same run, stand bare requests of
// net/http to a server of net/http in another process, over one connection on loopback,
// with the same body: each call is two such requests, one for the event and one for the
// answer, besides the way through the gate.
func BenchmarkFunctionCalls(b *testing.B) {
	g := echoGateway(b)
	calls, bare := callRate(b, g), bareRate(b, toggle)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(calls, "calls/s")
	b.ReportMetric(bare, "requests/s")
	b.ReportMetric(calls/bare, "of-bare")
}

// toggle is the event, its answer, and the command to the pin.
var toggle = []byte("toggle")

// echoGateway runs a gateway with a function that answers with its event, and one that
// calls it.
func echoGateway(b testing.TB) *gateway {
	b.Helper()
	dir := b.TempDir()
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out}
	if code := a.main(b.Context(), []string{"init", dir, "--core", "c_Core", "--key", "p-256"}); code != exitDone {
		b.Fatal(&out)
	}
	a.config = filepath.Join(dir, groupFile)
	bootstrap := filepath.Join(dir, "functions", "echo", "bootstrap")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", bootstrap, "./testdata/functions/trial")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	err := os.WriteFile(a.config, []byte(`version: 1
group: bench
core: c_Core
broker: {listen: ["127.0.0.1:0"]}
discovery: {listen: ["127.0.0.1:0"], announce: false}
admin: {listen: ""}
gpio: {driver: sim, leds: [{name: lamp, pin: GPIO17}]}
devices: [{thing: switch}]
functions:
  - {name: echo, command: [./bootstrap, echo], encoding: binary, pinned: true, reply_to: answer}
  - {name: caller, command: [./bootstrap, echo], dir: functions/echo}
subscriptions:
  - {from: switch, topic: call, to: "function:echo"}
  - {from: "function:echo", topic: answer, to: "gpio:lamp"}
  - {from: "function:caller", topic: $functions/echo/invocations, to: "function:echo"}
  - {from: "function:caller", shadow: lamp, may: [get, update]}
`), 0o600)
	if err != nil {
		b.Fatal(err)
	}
	c, err := a.load()
	if err != nil {
		b.Fatal(err)
	}
	g, err := openGateway(b.Context(), c, slog.New(slog.DiscardHandler), new(slog.LevelVar))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		g.close()
	})
	return g
}

// callTime is how long each rate is measured, after a tenth of it to warm up.
const callTime = 3 * time.Second

// callRate is how many calls a second come back, with so many under way as keep the
// function busy.
func callRate(b *testing.B, g *gateway) float64 {
	b.Helper()
	const underWay = 8
	back := make(chan struct{}, underWay)
	defer g.router.Watch(func(e router.Event) {
		if e.Topic == "answer" && e.Verdict == router.Delivered {
			back <- struct{}{}
		}
	})()
	port := g.router.Port(message.DeviceEndpoint("switch"))
	send := func() {
		way, err := port.Route([]byte("call"), message.CheckTopic)
		if err != nil || !way.Allowed {
			b.Fatal(err)
		}
		port.Publish(&message.Message{Topic: way.Topic, Payload: toggle}, way)
		port.Flush()
	}
	for range underWay {
		send()
	}
	return rate(func() {
		select {
		case <-back:
			send()
		case <-time.After(10 * time.Second):
			b.Fatalf("no answer: %+v", g.functions.list())
		}
	})
}

// rate is how often a second something can be done.
func rate(do func()) float64 {
	for until := time.Now().Add(callTime / 10); time.Now().Before(until); {
		do()
	}
	began, n := time.Now(), 0
	for ; time.Since(began) < callTime; n++ {
		do()
	}
	return float64(n) / time.Since(began).Seconds()
}

// benchBare is the environment that makes this test binary a server of net/http that
// answers with what it gets, at that address: a process of its own, as a function is.
const benchBare = "GREENGATE_BENCH_BARE"

func init() {
	if address := os.Getenv(benchBare); address != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body) // the client notices
		})))
		os.Exit(1)
	}
}

// bareRate is how many requests a second net/http makes over one connection.
func bareRate(b *testing.B, payload []byte) float64 {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	server := exec.Command(self)
	server.Env = append(os.Environ(), benchBare+"="+address)
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _, _ = server.Process.Kill(), server.Wait() }()
	url := "http://" + address
	for until := time.Now().Add(10 * time.Second); ; {
		if resp, err := http.Get(url); err == nil {
			_ = resp.Body.Close()
			break
		}
		if time.Now().After(until) {
			b.Fatal("the bare server does not answer")
		}
	}
	return rate(func() {
		resp, err := http.Post(url, "application/octet-stream", bytes.NewReader(payload))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	})
}

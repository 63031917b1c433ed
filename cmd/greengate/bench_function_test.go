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
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/router"
)

// BenchmarkFunctionCalls measures warm calls of a function in Go, through the gate and
// back: a message of a device is let through to the function, which answers, and its answer
// is let through to a simulated pin. Beside it, in the same run and in turns, stand bare
// requests of net/http to a server of net/http in another process, over one connection on
// loopback, with the same body: each call is two such requests, one for the event and one
// for the answer, besides the way through the gate. The medians of the rounds count, and
// beside the rates the CPU time of both processes: functions make way for other work, so on
// a busy machine the rates are not of the same machine.
func BenchmarkFunctionCalls(b *testing.B) {
	g := echoGateway(b)
	server, request := bareServer(b, toggle)
	call := callLoop(b, g)
	var calls, bare []pace
	for range rounds {
		bare = append(bare, measure(b, server, 1, request))
		calls = append(calls, measure(b, bootstrapPID(b), burst, call))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(calls, pace.rate), "calls/s")
	b.ReportMetric(middle(bare, pace.rate), "requests/s")
	b.ReportMetric(middle(calls, pace.rate)/middle(bare, pace.rate), "of-bare")
	b.ReportMetric(middle(calls, pace.cost), "cpu-us/call")
	b.ReportMetric(middle(calls, pace.far), "function-cpu-us/call")
	b.ReportMetric(middle(bare, pace.cost), "cpu-us/request")
	b.ReportMetric(middle(bare, pace.far), "server-cpu-us/request")
	b.ReportMetric(middle(bare, pace.cost)/middle(calls, pace.cost), "of-bare-cpu")
}

// rounds is how often each is measured.
const rounds = 5

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
const callTime = time.Second

// pace is how fast something was done, and what it cost.
type pace struct {
	n         int
	time, cpu time.Duration // cpu of this process and the other one
	other     time.Duration // of the other one alone
}

func (p pace) rate() float64 { return float64(p.n) / p.time.Seconds() }
func (p pace) cost() float64 { return float64(p.cpu.Microseconds()) / float64(p.n) }
func (p pace) far() float64  { return float64(p.other.Microseconds()) / float64(p.n) }

// middle is the median of a figure.
func middle(all []pace, figure func(pace) float64) float64 {
	figures := make([]float64, len(all))
	for i, p := range all {
		figures[i] = figure(p)
	}
	slices.Sort(figures)
	return figures[len(figures)/2]
}

// measure does something as often as there is time, with another process; each time
// counts for so many.
func measure(b *testing.B, other, each int, do func()) (p pace) {
	b.Helper()
	for until := time.Now().Add(callTime / 10); time.Now().Before(until); {
		do()
	}
	own, others := cpuOf(b, os.Getpid()), cpuOf(b, other)
	began := time.Now()
	for ; time.Since(began) < callTime; p.n += each {
		do()
	}
	p.time, p.other = time.Since(began), cpuOf(b, other)-others
	p.cpu = p.other + cpuOf(b, os.Getpid()) - own
	return p
}

// cpuOf is the CPU time that the threads of a process have used (proc(5), schedstat).
func cpuOf(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		b.Fatalf("process %d is gone: %v", pid, err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread may have ended
		var ns int64
		_, _ = fmt.Sscan(string(text), &ns)
		sum += time.Duration(ns)
	}
	return sum
}

// bootstrapPID is the process of the function.
func bootstrapPID(b *testing.B) int {
	b.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file)
		var pid, parent int
		var name, state string
		if _, err := fmt.Sscan(string(text), &pid, &name, &state, &parent); err == nil && name == "(bootstrap)" && parent == os.Getpid() {
			return pid
		}
	}
	b.Fatal("the function does not run")
	return 0
}

// burst is how many calls are sent at once.
const burst = 4

// callLoop returns what waits until so many calls have come back and makes as many anew,
// with so many under way as keep the function busy.
func callLoop(b *testing.B, g *gateway) func() {
	b.Helper()
	const bursts = 3
	back := make(chan struct{}, bursts)
	var answers atomic.Int64
	b.Cleanup(g.router.Watch(func(e router.Event) {
		if e.Topic == "answer" && e.Verdict == router.Delivered {
			if answers.Add(1)%burst == 0 {
				back <- struct{}{}
			}
		}
	}))
	port := g.router.Port(message.DeviceEndpoint("switch"))
	send := func() {
		for range burst {
			way, err := port.Route([]byte("call"), message.CheckTopic)
			if err != nil || !way.Allowed {
				b.Fatal(err)
			}
			port.Publish(&message.Message{Topic: way.Topic, Payload: toggle}, way)
		}
		port.Flush()
	}
	late := time.NewTimer(time.Hour)
	wait := func() {
		late.Reset(10 * time.Second)
		select {
		case <-back:
		case <-late.C:
			b.Fatalf("no answer: %+v", g.functions.list())
		}
	}
	for range bursts {
		send()
	}
	wait() // the function runs
	send()
	return func() { wait(); send() }
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

// bareServer runs such a server and returns its process, and what makes a request of it
// with net/http, over one connection.
func bareServer(b *testing.B, payload []byte) (pid int, request func()) {
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
	b.Cleanup(func() { _, _ = server.Process.Kill(), server.Wait() })
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
	return server.Process.Pid, func() {
		resp, err := http.Post(url, "application/octet-stream", bytes.NewReader(payload))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

package functions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/functions/endpoint"
	"greengate/functions/sandbox"
)

// program is what a fake process does until it ends, or killed is closed.
type program func(p *fakeProcess) sandbox.Exit

// fakeLauncher starts programs of the test instead of processes.
type fakeLauncher struct {
	program program
	refuse  atomic.Pointer[error] // what start answers

	mu    sync.Mutex
	calls map[string]endpoint.Calls
	begun []*fakeProcess
}

type fakeProcess struct {
	calls  endpoint.Calls
	spec   sandbox.Spec
	killed chan struct{}
	kill   sync.Once
	ended  chan struct{}
	exit   sandbox.Exit

	unlinked atomic.Int64
}

type fakeDoor struct{ env []string }

func (d fakeDoor) Env() []string                 { return d.env }
func (d fakeDoor) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (d fakeDoor) Close() error                  { return nil }

func (l *fakeLauncher) open(o endpoint.Options) (door, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := fmt.Sprint("DOOR=", len(l.calls))
	l.calls[key] = o.Calls
	var env []string
	for name, value := range o.Environment {
		env = append(env, name+"="+value)
	}
	return fakeDoor{append(env, key)}, nil
}

func (l *fakeLauncher) start(_ context.Context, spec sandbox.Spec) (process, error) {
	if err := l.refuse.Load(); err != nil {
		return nil, *err
	}
	l.mu.Lock()
	p := &fakeProcess{calls: l.calls[spec.Env[len(spec.Env)-1]], spec: spec, killed: make(chan struct{}), ended: make(chan struct{})}
	l.begun = append(l.begun, p)
	l.mu.Unlock()
	go func() {
		p.exit = l.program(p)
		close(p.ended)
	}()
	return p, nil
}

func (l *fakeLauncher) starts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.begun)
}

func (p *fakeProcess) Wait() sandbox.Exit    { <-p.ended; return p.exit }
func (p *fakeProcess) Kill()                 { p.kill.Do(func() { close(p.killed) }) }
func (p *fakeProcess) Owns(int) bool         { return true }
func (p *fakeProcess) Memory() (int64, bool) { return 1000, true }

func (p *fakeProcess) Unlinked(uint64) int64 { return p.unlinked.Load() }

// context ends when the process is killed, as its connection would.
func (p *fakeProcess) context() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-p.killed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

var killedExit = sandbox.Exit{Signal: 9}

// serve is a program that answers calls with handle until it is to end.
func serve(handle func(p *fakeProcess, v *endpoint.Invocation) ([]byte, error)) program {
	return func(p *fakeProcess) sandbox.Exit {
		ctx, cancel := p.context()
		defer cancel()
		for ready := false; ; {
			if !ready {
				ready = true
				p.calls.Ready()
			}
			v, err := p.calls.Next(ctx)
			if err != nil {
				return killedExit
			}
			answer, err := handle(p, v)
			var exit exitNow
			switch {
			case errors.As(err, &exit):
				return sandbox.Exit(exit)
			case err != nil:
				_ = p.calls.Fail(v.ID, endpoint.Failure{Type: "Oops", Message: err.Error()})
			default:
				_ = p.calls.Respond(v.ID, answer, func() {})
			}
		}
	}
}

// exitNow is the error of a handler that ends its process.
type exitNow sandbox.Exit

func (e exitNow) Error() string { return "exit" }

// hang waits until the process is killed.
func hang(p *fakeProcess) ([]byte, error) {
	<-p.killed
	return nil, exitNow(killedExit)
}

// rig is a Manager with fakes around it.
type rig struct {
	t        testing.TB
	m        *Manager
	launcher *fakeLauncher
	db       *sqlite.DB
	dir      string
	cancel   context.CancelFunc
	ended    chan error
	stopDB   func()

	mu      sync.Mutex
	settled []Settlement
	counts  map[Settlement]int // by route, verdict and reason
	replies []string
	changed chan struct{} // something was settled
	logs    strings.Builder
}

func config(name string, change ...func(*Config)) Config {
	c := Config{Command: []string{"./f"}}
	c.SetDefaults()
	c.Name, c.Command = name, []string{"./f"}
	for _, f := range change {
		f(&c)
	}
	return c
}

func pinned(c *Config) { c.Pinned = true }

// newRig makes a Manager that is not started, on the database of dir.
func newRig(t testing.TB, dir string, p program, o Options, functions ...Config) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, launcher: &fakeLauncher{program: p, calls: map[string]endpoint.Calls{}},
		counts: map[Settlement]int{}, changed: make(chan struct{}, 1), ended: make(chan error, 1)}
	var err error
	if r.db = o.DB; r.db == nil {
		r.db = openDB(t, dir, 0)
	}
	o.Functions, o.Dir, o.DB = functions, filepath.Join(dir, "functions"), r.db
	o.Settled = r.settle
	o.Reply = func(_ context.Context, function, topic string, payload []byte) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.replies = append(r.replies, fmt.Sprintf("%s %s %s", function, topic, payload))
		return nil
	}
	o.Log = slog.New(slog.NewTextHandler(lockedWriter{r}, nil))
	if r.m, err = newManager(o, r.launcher); err != nil {
		t.Fatal(err)
	}
	return r
}

func openDB(t testing.TB, dir string, most int64) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(dir, "functions.db"), Migrations: Migrations(), MaxBytes: most})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

type lockedWriter struct{ r *rig }

func (w lockedWriter) Write(b []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.logs.Write(b)
}

// start runs the Manager until the test ends.
func (r *rig) start() *rig {
	dbCtx, stopDB := context.WithCancel(context.Background())
	dbEnded := make(chan error, 1)
	go func() { dbEnded <- r.db.Run(dbCtx) }()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- r.m.Run(ctx) }()
	r.cancel = cancel
	r.stopDB = sync.OnceFunc(func() {
		stopDB()
		if err := <-dbEnded; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(r.stop)
	return r
}

// stop ends it in order.
func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := <-r.ended; err != nil {
		r.t.Error(err)
	}
	r.stopDB()
}

func (r *rig) settle(s Settlement) {
	r.mu.Lock()
	r.settled = append(r.settled, s)
	n := s.N
	s.N = 0
	r.counts[s] += n
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// put puts a call with the payload.
func (r *rig) put(function, payload string, change ...func(*Call)) {
	r.t.Helper()
	c := Call{Function: function, Route: "row", Message: &message.Message{
		Source: message.DeviceEndpoint("lamp"), Topic: "t/" + function, Payload: []byte(payload)}}
	for _, f := range change {
		f(&c)
	}
	if err := r.m.Put(c); err != nil {
		r.t.Fatal(err)
	}
}

func durable(c *Call) { c.Durable = true }

// until waits for a condition that a settlement brings.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-r.changed:
		case <-tick.C:
		case <-deadline:
			r.t.Fatalf("%s: not within a minute; settled %v, %+v\n%s", what, r.verdicts(), r.m.Stats(), r.log())
		}
	}
}

// verdicts are how many calls were settled how.
func (r *rig) verdicts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]int{}
	for s, n := range r.counts {
		all[strings.TrimSuffix(s.Verdict.String()+" "+s.Reason, " ")] += n
	}
	return all
}

func (r *rig) want(verdicts map[string]int) {
	r.t.Helper()
	r.until(fmt.Sprintf("want %v", verdicts), func() bool { return fmt.Sprint(r.verdicts()) == fmt.Sprint(verdicts) })
}

func (r *rig) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logs.String()
}

func (r *rig) answers() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.replies)
}

func (r *rig) stats() Stats {
	r.t.Helper()
	all := r.m.Stats()
	if len(all) == 0 {
		r.t.Fatal("no function")
	}
	return all[0]
}

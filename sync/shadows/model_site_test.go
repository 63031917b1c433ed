package shadows_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
	"greengate/sync/cloud"
	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// core is the thing name of the gateway.
const core = "gw"

// site is a gateway and the strict cloud, on virtual time. The gateway is what it
// is in a house: a database on disk, the shadow service, the connection of
// sync/cloud with AWS's limits, the reconciler. Its process can be killed.
type site struct {
	testing.TB
	virtual bool // time is that of a bubble
	cloud   *cloudtest.Cloud
	pipe    *cloudtest.Pipe
	files   cloudtest.Files
	things  map[string]shadows.Direction
	limits  cloud.Limits
	rate    cloud.Rate
	pace    shadows.Rate
	blocks  bool // a fault that blocks what it meets until something changes
	version int  // of MQTT; 0: 5
	log     *slog.Logger
	account string   // names the cloud
	pardon  []string // rules whose breaches the test itself makes

	folder string // of the database
	boots  int
	sent   atomic.Int64 // requests to the cloud
	writes atomic.Int64 // of them, updates and deletes
	skew   atomic.Int64 // of the gateway's clock, nanoseconds

	names    chan struct{} // a list of names waits until it is closed; nil: it does not
	tape     tape          // of what the cloud has sent
	requests tape          // of what was sent to it

	*gateway // the process that runs
}

// tape keeps messages, to be sent again.
type tape struct {
	mu       sync.Mutex
	messages []cloud.Publish
}

func (t *tape) add(topic string, payload []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages = append(t.messages, cloud.Publish{Topic: topic, Payload: payload})
}

// String names the topics of the messages that are kept.
func (t *tape) String() string {
	var topics []string
	for _, m := range t.take() {
		topics = append(topics, m.Topic)
	}
	return strings.Join(topics, ", ")
}

// take returns the messages since the last time.
func (t *tape) take() []cloud.Publish {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.messages
	t.messages = nil
	return all
}

// gateway is one process.
type gateway struct {
	db    *sqlite.DB
	local *localshadow.Service
	link  *cloud.Link
	rec   *shadows.Reconciler
	gone  atomic.Bool // killed: nothing of it reaches the cloud
	stop  func()
}

// inSite runs body in a bubble. At the end no goroutine may be left and no limit
// of AWS may have been broken.
func inSite(t *testing.T, o cloudtest.Options, things map[string]shadows.Direction, body func(s *site), setup ...func(*site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{TB: t, virtual: true, things: things, rate: cloud.DefaultConfig().Rate}
		for _, f := range setup {
			f(s)
		}
		s.open(o)
		body(s)
		s.lawful()
	})
}

// open makes the cloud and starts the first process; both end with the test.
func (s *site) open(o cloudtest.Options) {
	s.Helper()
	s.folder = folder(s)
	s.openCloud(o)
	s.boot()
	s.Cleanup(func() { s.gateway.stop() })
}

// openCloud makes the cloud to which the next process connects.
func (s *site) openCloud(o cloudtest.Options) {
	s.Helper()
	s.pipe = cloudtest.NewPipe()
	o.Listener, o.NoData, o.Forget = s.pipe, true, true
	s.cloud = cloudtest.Start(s, o)
	var err error
	if s.files, err = s.cloud.Files(s.folder, core); err != nil {
		s.Fatal(err)
	}
	if s.virtual { // a policy for thousands of things costs the cloud more than they do
		s.cloud.SetPolicy(core, s.policy())
	}
}

// folder makes a folder for a test, in memory where the machine has that: how long
// a disk takes for an fsync is not what these tests are about.
func folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("TMPDIR"), "/dev/shm"), "greengate-shadows-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// unlimited lifts the gateway's own limits on rates.
func (s *site) unlimited() {
	s.rate, s.pace.PerThing = cloud.Rate{}, -1
	s.limits = cloud.Limits{ShadowRequests: 1 << 30, ShadowRate: 1 << 30}
}

// policy is the least that the gateway needs.
func (s *site) policy() cloudtest.Policy {
	var names []string
	for thing := range s.things {
		names = append(names, thing)
	}
	return cloudtest.LeastPolicy(core, names...)
}

// lawful fails the test for each limit of AWS that was broken.
func (s *site) lawful() {
	s.Helper()
	for _, v := range s.cloud.Violations() {
		pardoned := false
		for _, rule := range s.pardon {
			pardoned = pardoned || rule == v.Rule
		}
		if !pardoned {
			s.Errorf("AWS's rule %s broken at %v: %s", v.Rule, v.At.Format("02 15:04:05.000"), v.Detail)
		}
	}
}

// now is the gateway's clock, which may be wrong.
func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.skew.Load())) }

func (s *site) database() string { return filepath.Join(s.folder, fmt.Sprint(s.boots), "shadows.db") }

// boot starts the process on the newest database.
func (s *site) boot() {
	s.Helper()
	if err := os.MkdirAll(filepath.Dir(s.database()), 0o700); err != nil {
		s.Fatal(err)
	}
	g := &gateway{}
	var err error
	if g.db, err = sqlite.Open(sqlite.Options{File: s.database(), Migrations: localshadow.Migrations(), Queue: 8192, Log: slog.New(slog.DiscardHandler)}); err != nil {
		s.Fatal(err)
	}
	if g.local, err = localshadow.New(localshadow.Options{DB: g.db, Publish: func(string, []byte) {}, Now: s.now, Log: slog.New(slog.DiscardHandler)}); err != nil {
		s.Fatal(err)
	}
	if g.link, err = cloud.New(s.linkOptions(g)); err != nil {
		s.Fatal(err)
	}
	g.rec, err = shadows.New(shadows.Options{
		Shadows: g.local, DB: g.db, Link: &uplink{s, g}, Rate: s.pace, Now: s.now, Log: s.log, Cloud: s.account,
		Things: func() map[string]shadows.Direction { return maps.Clone(s.things) },
	})
	if err != nil {
		s.Fatal(err)
	}
	run := func(f func(context.Context) error) (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- f(ctx) }()
		return func() {
			cancel()
			if err := <-ended; err != nil {
				s.Errorf("run: %v", err)
			}
		}
	}
	stopDB, stopLocal, stopRec, stopLink := run(g.db.Run), run(g.local.Run), run(g.rec.Run), run(g.link.Run)
	g.stop = sync.OnceFunc(func() { stopLink(); stopRec(); stopLocal(); stopDB() })
	s.gateway = g
}

func (s *site) linkOptions(g *gateway) cloud.Options {
	return cloud.Options{
		Endpoint: s.cloud.Name(), Port: 443, Core: core, // 443: the data plane has the same listener
		Certificate: s.files.Certificate, Key: s.files.Key, CA: s.files.CA, Version: s.version, Rate: s.rate, Limits: s.limits,
		Timing: cloud.Timing{Retry: cloud.Backoff{Base: time.Second, Max: time.Hour}}, // weeks away cost less
		Subscriptions: func() (all []cloud.Subscription) {
			for _, f := range shadows.Filters() {
				all = append(all, cloud.Subscription{Filter: f, QoS: 1})
			}
			return all
		},
		Receive: func(p *cloud.Publish, ack func()) {
			s.tape.add(p.Topic, p.Payload)
			if !g.gone.Load() && !g.rec.Receive(p.Topic, p.Payload) {
				s.Errorf("not taken: %s", p.Topic)
			}
			ack()
		},
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if g.gone.Load() {
				return nil, errors.New("the process is dead")
			}
			return s.pipe.Dial(ctx)
		},
	}
}

// kill is a power cut: nothing that is not in the files counts any more. The next
// process starts on them.
func (s *site) kill() {
	s.Helper()
	s.gone.Store(true)
	s.cloud.Cut(core, true)
	synctest.Wait() // no write is half done
	from := filepath.Dir(s.database())
	s.boots++
	to := filepath.Dir(s.database())
	if err := os.MkdirAll(to, 0o700); err != nil {
		s.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(filepath.Join(from, "shadows.db"+suffix))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "shadows.db"+suffix), text, 0o600)
		}
		if err != nil {
			s.Fatal(err)
		}
	}
	s.gateway.stop()
	<-time.After(time.Second) // AWS takes one CONNECT a second, and a new process knows of none
	s.boot()
}

// uplink is the connection as the reconciler asks it.
type uplink struct {
	s *site
	g *gateway
}

func (u *uplink) Connected() bool          { return u.g.link.Connected() }
func (u *uplink) Changed() <-chan struct{} { return u.g.link.Changed() }
func (u *uplink) Names(ctx context.Context, thing string) ([]string, error) {
	if u.s.names != nil {
		select {
		case <-u.s.names:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return u.g.link.Names(ctx, thing)
}

func (u *uplink) Send(ctx context.Context, topic string, payload []byte, done func(error)) error {
	err := u.g.link.Send(ctx, &cloud.Publish{Topic: topic, Payload: payload}, func(err error) { done(inWords(err)) })
	if err == nil {
		u.s.requests.add(topic, payload)
		u.s.sent.Add(1)
		if filepath.Base(topic) != "get" {
			u.s.writes.Add(1)
		}
	}
	return inWords(err)
}

// inWords puts an error of the connection in the reconciler's words.
func inWords(err error) error {
	var refused *cloud.Refused
	var large *cloud.TooLarge
	var bad *cloud.BadTopic
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cloud.ErrOffline):
		return shadows.ErrOffline
	case errors.Is(err, cloud.ErrLost):
		return shadows.ErrLost
	case errors.As(err, &refused) && refused.Permanent(), errors.As(err, &large), errors.As(err, &bad):
		return &shadows.Never{Err: err}
	}
	return err
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"greengate/core/message"
	"greengate/core/router"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// proofSky is the cloud: the uplink of the gateway with a spool of its own, and a link that
// comes and goes as the test says. It loses nothing.
type proofSky struct {
	*uplink
	p *proof

	mu      sync.Mutex
	up      bool
	changed chan struct{}
	puts    int // messages that were spooled
	left    int // of them, those that were sent or dropped
	settled int // and those that the ledger knows of
}

// openSky makes the cloud the target of rows that lead there.
func (p *proof) openSky() {
	s := &proofSky{p: p, up: true, changed: make(chan struct{})}
	s.uplink = &uplink{g: p.g, full: "drop_oldest", cells: map[string]*router.Cell{}}
	p.sky = s
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(filepath.Dir(p.file), "sky.db"), Migrations: telemetry.Migrations(), MaxWAL: telemetry.MaxWAL(256 << 20)})
	p.must(err)
	s.spool, err = telemetry.New(telemetry.Options{DB: db, Link: s, MaxSize: 256 << 20, Settled: s.tell, Stands: s.stands})
	p.must(err)
	p.g.rechecks = append(p.g.rechecks, s.spool.Recheck)
	p.g.router.Register(message.Cloud, s)
	run := func(run func(context.Context) error) {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx) }()
		p.t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				p.t.Error(err)
			}
		})
	}
	run(db.Run)
	run(s.spool.Run)
}

// Deliver counts what is spooled.
func (s *proofSky) Deliver(d *router.Delivery, hop *router.Hop) (router.Verdict, router.Reason) {
	v, why := s.uplink.Deliver(d, hop)
	if v == router.Queued {
		s.mu.Lock()
		s.puts++
		s.mu.Unlock()
	}
	return v, why
}

// tell counts what the spool is done with.
func (s *proofSky) tell(e telemetry.Settlement) {
	s.uplink.settled(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled += e.N
	if e.Verdict != telemetry.Sent {
		s.left += e.N
	}
}

// Send takes a message.
func (s *proofSky) Send(_ context.Context, m *telemetry.Publish, done func(error)) error {
	s.mu.Lock()
	if !s.up {
		s.mu.Unlock()
		return telemetry.ErrOffline
	}
	s.p.heard(proofCloud, m.Topic, m.Payload, false)
	s.left++
	s.mu.Unlock()
	done(nil)
	return nil
}

func (s *proofSky) Check(string, int) error { return nil }

func (s *proofSky) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.up
}

func (s *proofSky) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// turn ends or begins the connection.
func (s *proofSky) turn(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up = up
	close(s.changed)
	s.changed = make(chan struct{})
}

// counts tells how many messages the cloud is still to get, and how many wait in the ledger.
func (s *proofSky) counts() (coming, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts - s.left, s.puts - s.settled
}

// away tells whether what goes to a service has to wait there.
func (p *proof) away(end string) bool {
	return end == proofCloud && !p.sky.Connected() || end == proofSlow && p.slow
}

// held is the file that holds a function up.
func (p *proof) held(function string) string {
	return filepath.Join(p.functions, fmt.Sprintf("held-%d-%s", p.seed, function))
}

// toggle has the cloud, or the function that is slow, come or go.
func (p *proof) toggle() {
	if p.one(3) {
		up := p.away(proofCloud)
		p.tell("the cloud is there: %v", up)
		if p.sky.turn(up); up {
			p.settle()
			p.check(nil, nil, proofCloud)
		}
	}
	if p.one(3) {
		p.slow = !p.slow
		p.tell("the function is slow: %v", p.slow)
		file := p.held("slow")
		if !p.slow {
			p.must(os.Remove(file))
			p.settle()
			p.check(nil, nil, proofSlow)
			return
		}
		p.must(os.WriteFile(file, nil, 0o600))
		// A call that is being made goes on, whatever is reloaded. This is one.
		w := p.clients[proofWitness]
		w.write(mqttPacket(0x30, mqttText(proofMark("slow")), w.props(), []byte("m0")))
		p.until("a call that takes its time", func() bool { queued, running := p.calls("slow"); return queued == 0 && running == 1 })
	}
}

// calls tells what a function has to do.
func (p *proof) calls(name string) (queued, running int) {
	for _, s := range p.g.functions.manager.Stats() {
		if s.Name == name {
			return s.Queued, s.Running
		}
	}
	return 0, 0
}

// unowed lists what the spool has and nobody is owed.
func (s *proofSky) unowed() (text string) {
	records, _ := s.spool.List(context.Background(), 1000)
	for _, r := range records {
		if _, ok := s.p.owed[proofKey{proofToken(r.Payload), proofCloud, r.Topic}]; !ok {
			text += fmt.Sprintf("; unowed: %q of %s on %q", r.Payload, r.Source, r.Topic)
		}
	}
	return text
}

// balance waits until exactly that waits which is to, in the queues and in the ledger: what
// lost its row is dropped, and counted.
func (p *proof) balance() {
	p.settle()
	least, most := map[string]int{}, map[string]int{}
	for k, debt := range p.owed {
		most[k.to]++
		if debt.must {
			least[k.to]++
		}
	}
	within := func(end string, n int) bool { return n >= least[end] && n <= most[end] }
	var last string
	deadline := time.Now().Add(patience)
	p.until("what waits to be what should", func() bool {
		_, sky := p.sky.counts()
		slow, running := p.calls("slow")
		sum := sky + slow + running
		ok := (!p.away(proofCloud) || within(proofCloud, sky)) && (!p.slow || within(proofSlow, slow))
		text := fmt.Sprintf("%d for the cloud, %d and %d for the function", sky, slow, running)
		for _, d := range p.g.broker.Devices() {
			if end := "device:" + d.Thing; end != "device:"+probeThing {
				sum += d.Waiting
				text += fmt.Sprintf(", %d for %s", d.Waiting, d.Thing)
				ok = ok && within(end, d.Waiting)
			}
		}
		n := p.g.router.Ledger()
		ok = ok && n.Waiting == uint64(sum)
		last = fmt.Sprintf("there wait %s; should %v to %v; the ledger says %d", text, least, most, n.Waiting)
		if !ok && time.Now().After(deadline) {
			p.fault("WRONG COUNT", nil, last+p.sky.unowed())
		}
		return ok
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// options say how a soak is run.
type options struct {
	Program  string        // the built greengate
	Self     string        // this program as it is built: the function
	Out      string        // folder of the site, the samples and the report
	Duration time.Duration // of the traffic
	Rate     float64       // messages a second that are published, in all
	// Pace is how many times faster than in a long run things happen: devices
	// come and go, the cloud is away, the file is reloaded, the function crashes.
	Pace   float64
	Burst  int           // messages that a sensor sends to the cloud at a time; 0: once a second what it has
	Judge  bool          // what was used must be within its bounds; else it is only told
	Sample time.Duration // from one sample to the next
	Print  io.Writer     // progress and report
	Log    *slog.Logger
}

// soak is one run.
type soak struct {
	o     options
	log   *slog.Logger
	plan  *plan
	cloud *cloudtest.Cloud
	site  *site

	flows    flows
	kinds    map[string]string // of flows, by their names
	accounts []*account
	// Devices that are sent away, and readers that are held up.
	nodes, rovers []*device
	pump          *device
	snail, sloth  valve

	life    context.Context // ends when all is over
	traffic context.Context // ends when nothing new is published
	trouble context.Context // ends when nobody is to be sent away any more

	publishers sync.WaitGroup // what goes on until traffic ends
	troubles   sync.WaitGroup // what goes on until trouble ends
	others     sync.WaitGroup // what goes on until life ends

	mu         sync.Mutex
	faults     int            // guarded by mu
	faultTexts []string       // guarded by mu: the first of them
	ends       []func()       // guarded by mu: what is done before the gateway is stopped, the last first
	events     map[string]int // guarded by mu: how often what happened
	restarts   int            // guarded by mu: of the function
	climates   int            // guarded by mu: messages of the sensor that were heard
	samples    []sample       // guarded by mu
}

// run makes a site, lets it soak, and judges. The error is of what kept it from
// that; what was found is in the report.
func run(ctx context.Context, o options) (r *report, err error) {
	s := &soak{o: o, log: o.Log, flows: flows{}, kinds: map[string]string{}, events: map[string]int{}}
	var stopLife, stopTraffic, stopTrouble context.CancelFunc
	// An interrupt ends the traffic; what was sent is then judged all the same.
	s.life, stopLife = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		stopLife()
		s.others.Wait()
	}()
	s.traffic, stopTraffic = context.WithCancel(s.life)
	defer stopTraffic()
	s.trouble, stopTrouble = context.WithCancel(s.life)
	defer stopTrouble()

	if err := s.build(ctx); err != nil {
		return nil, err
	}
	log := filepath.Join(o.Out, "gateway.log")
	defer func() { err = errors.Join(err, s.site.stop()) }()
	if err := s.site.start(ctx, log); err != nil {
		return nil, err
	}
	if err := s.people(); err != nil {
		return nil, err
	}
	s.background(s.watch)
	s.log.Info("Traffic has begun", "rate", o.Rate, "for", o.Duration, "folder", o.Out)
	began := time.Now()
	s.troubleMakers()
	select {
	case <-time.After(o.Duration):
	case <-ctx.Done():
		s.log.Info("It was interrupted; what was sent until now is judged")
	case <-s.site.gone:
		return nil, fmt.Errorf("the gateway ended: %v", s.site.cmd.ProcessState)
	}
	// First all trouble ends and everybody comes home, then the traffic: what
	// was sent last has somebody to arrive at, too.
	stopTrouble()
	s.troubles.Wait()
	stopTraffic()
	s.publishers.Wait()
	took := time.Since(began)
	s.log.Info("Traffic has ended; what is under way may arrive")
	r, err = s.judge(took)
	if err != nil {
		return nil, err
	}
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
	r.Errors, err = errorsLogged(log)
	return r, err
}

// build makes the cloud, the site and the program of the function.
func (s *soak) build(ctx context.Context) error {
	crashAfter := max(5, int(shareWork*s.o.Rate*80/s.o.Pace)) // every 80 s
	s.plan = newPlan(crashAfter)
	s.openAccounts()
	limits := cloudtest.NoRates()
	limits.UnackedIn, limits.UnackedOut = underWay, underWay
	var err error
	if s.cloud, err = cloudtest.New(cloudtest.Options{
		NoData: true, Forget: true, Limits: limits,
		OnReceive: func(r cloudtest.Received) { s.flows.arrive(r.Payload, r.Dup) },
	}); err != nil {
		return fmt.Errorf("make the cloud: %w", err)
	}
	s.background(func() {
		if err := s.cloud.Run(s.life); err != nil {
			s.fault("the cloud ended: %v", err)
		}
	})
	if s.site, err = newSite(ctx, filepath.Join(s.o.Out, "site"), s.o.Program, s.plan, s.cloud); err != nil {
		return err
	}
	folder := filepath.Join(s.site.dir, "functions", "worker")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make the folder of the function: %w", err)
	}
	program, err := os.ReadFile(s.o.Self)
	if err != nil {
		return fmt.Errorf("read the program of the function: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, "bootstrap"), program, 0o755); err != nil {
		return fmt.Errorf("write the program of the function: %w", err)
	}
	return nil
}

// background runs f until life ends.
func (s *soak) background(f func()) { s.others.Go(f) }

// atEnd has f done before the gateway is stopped.
func (s *soak) atEnd(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, f)
}

// happened counts an event.
func (s *soak) happened(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[what]++
}

// wait waits, or tells that ctx is over.
func (s *soak) wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// between waits a time between two, at the pace of the soak, or tells that
// trouble is over.
func (s *soak) between(least, most time.Duration) bool {
	d := least + rand.N(most-least)
	return s.wait(s.trouble, time.Duration(float64(d)/s.o.Pace))
}

package cloud

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// A dead link without FIN is noticed within 1.5 keep-alives: idle, and while
// messages go into the dark.
func TestDeadLink(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits cloudtest.Limits
		keep   time.Duration
	}{
		{"our keep-alive", cloudtest.Limits{}, 40 * time.Second},
		{"the cloud's", cloudtest.Limits{KeepAliveMin: 200 * time.Second}, 200 * time.Second},
	} {
		for _, busy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, busy %v", c.name, busy), func(t *testing.T) {
				inWorld(t, cloudtest.Options{Limits: c.limits}, func(o *Options) { o.KeepAlive, o.Timing.Ack = 40*time.Second, time.Hour }, func(w *world) {
					if got := w.link.Status().KeepAlive; got != c.keep {
						t.Errorf("keep-alive %v", got)
					}
					w.pardon = []string{"keep-alive"} // which the plug breaks
					<-time.After(777 * time.Second)   // an idle link lives
					if s := w.link.Status(); !s.Connected || s.LastError != "" {
						t.Fatalf("status %+v", s)
					}
					o, start := newOutcome(), time.Now()
					w.cloud.PullPlug()
					if busy {
						w.sendAll(o, 50)
					}
					w.within(c.keep*3/2+time.Second, "noticed", func() bool { return !w.link.Connected() })
					if took := time.Since(start); took < c.keep/2 {
						t.Errorf("too soon, after %v", took)
					}
					if s := w.link.Status(); !strings.Contains(s.LastError, "the link is dead") {
						t.Errorf("error %q", s.LastError)
					}
					for i := range o.len() {
						if err := o.of(t, fmt.Sprint(i)); !errors.Is(err, ErrLost) {
							t.Errorf("message %d: %v", i, err)
						}
					}
					if busy && o.len() != 50 {
						t.Errorf("%d of 50 told", o.len())
					}
					<-time.After(10 * time.Minute) // attempts in the dark
					w.cloud.PlugIn()
					w.connected(3 * time.Minute)
				})
			})
		}
	}
}

// A slow or late cloud is no dead one.
func TestLatePubacks(t *testing.T) {
	for name, fault := range map[string]func(f *cloudtest.Faults){
		"late":  func(f *cloudtest.Faults) { f.PubackDelay = 50 * time.Second },
		"slow":  func(f *cloudtest.Faults) { f.Bandwidth = 4 << 10 },
		"twice": func(f *cloudtest.Faults) { f.PubackTwice = cloudtest.Always },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, cloudtest.Options{}, nil, func(w *world) {
				w.cloud.Change(fault)
				o := newOutcome()
				for i := range 60 {
					name := fmt.Sprint(i)
					if err := w.link.Send(w.Context(), &Publish{Topic: "t", Payload: make([]byte, 20<<10)}, o.done(name)); err != nil {
						t.Fatal(err)
					}
				}
				w.within(20*time.Minute, "all acknowledged", func() bool { return o.len() == 60 })
				for i := range 60 {
					if err := o.of(t, fmt.Sprint(i)); err != nil {
						t.Errorf("message %d: %v", i, err)
					}
				}
				if s := w.link.Status(); !s.Connected || s.LastError != "" {
					t.Errorf("status %+v", s)
				}
			})
		})
	}
}

// A PUBACK that never comes does not stop the link for ever: not when all are
// missing, nor when one is and the others come.
func TestMissingPubacks(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(f *cloudtest.Faults)
		lost  int
	}{
		{"one lost", func(f *cloudtest.Faults) { f.PubackLost = 1 }, 1},
		{"one not even taken", func(f *cloudtest.Faults) { f.PublishLost = 1 }, 1},
		{"all withheld", func(f *cloudtest.Faults) { f.PubackWithheld = true }, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, cloudtest.Options{}, nil, func(w *world) {
				o := newOutcome()
				w.cloud.Change(c.fault)
				w.sendAll(o, 10)
				start := time.Now()
				var more sync.WaitGroup
				defer more.Wait()
				more.Go(func() { // the others flow on
					for i := 0; i < 12 && w.send(o, fmt.Sprint("more", i)) == nil; i++ {
						<-time.After(5 * time.Second)
					}
				})
				w.loses(63*time.Second, func() {})
				if took := time.Since(start); took < 58*time.Second {
					t.Errorf("too soon, after %v", took)
				}
				w.cloud.Heal()
				lost := 0
				for i := range 10 {
					if errors.Is(o.of(t, fmt.Sprint(i)), ErrLost) {
						lost++
					}
				}
				if lost != c.lost || !strings.Contains(w.link.Status().LastError, "no PUBACK came for 1m0s") {
					t.Errorf("%d lost, want %d; error %q", lost, c.lost, w.link.Status().LastError)
				}
				w.connected(time.Minute)
			})
		})
	}
}

func TestRefusedPublish(t *testing.T) {
	inWorld(t, cloudtest.Options{}, nil, func(w *world) {
		w.cloud.SetPolicy("gw", cloudtest.Policy{DenyPublish: []string{"secret/#"}})
		told := make(chan error, 1)
		send := func(topic string) error {
			if err := w.link.Send(w.Context(), &Publish{Topic: topic}, func(err error) { told <- err }); err != nil {
				t.Fatal(err)
			}
			return <-told
		}
		var refused *Refused
		if err := send("secret/x"); !errors.As(err, &refused) || refused.Code != 0x87 || !refused.Permanent() {
			t.Errorf("policy: %v", err)
		}
		w.cloud.Change(func(f *cloudtest.Faults) { f.PubackCode, f.PubackCount = 0x97, 1 })
		if err := send("t"); !errors.As(err, &refused) || refused.Code != 0x97 || refused.Permanent() {
			t.Errorf("quota: %v", err)
		}
		if f := w.link.Faults(); len(f) != 1 || !strings.Contains(f[0], "its quota is exceeded (0x97)") {
			t.Errorf("faults %q", f)
		}
		start := time.Now()
		if err := send("t"); err != nil || time.Since(start) < 500*time.Millisecond {
			t.Errorf("the next: %v after %v", err, time.Since(start))
		}
		if f := w.link.Faults(); len(f) != 0 || !w.link.Connected() {
			t.Errorf("faults %q", f)
		}
		w.pardon = []string{"policy", "fault"}
	})
}

// Two gateways with one identity: after a while each tries some times an hour,
// and both say what is wrong.
func TestTakenOver(t *testing.T) {
	inWorld(t, cloudtest.Options{}, nil, func(w *world) {
		<-time.After(time.Second)
		other := w.start(nil)
		faulty := func(l *Link) bool {
			return slices.ContainsFunc(l.Faults(), func(f string) bool {
				return strings.Contains(f, `another client uses this gateway's identity "gw"`)
			})
		}
		w.within(10*time.Minute, "both told", func() bool { return faulty(w.link) && faulty(other) })
		w.dials.Store(0)
		<-time.After(12 * time.Hour)
		if n := w.dials.Load(); n > 12*10 || n < 12 {
			t.Errorf("%d attempts in 12 hours", n)
		}
		if !faulty(w.link) || !faulty(other) {
			t.Errorf("faults %q and %q", w.link.Faults(), other.Faults())
		}
	})
}

func TestServerCodes(t *testing.T) {
	for _, c := range []struct {
		code byte
		slow time.Duration // the sum of 5 waits is more than this
		text string
	}{
		{0x97, 20 * time.Second, "quota exceeded (0x97)"},
		{0x88, 20 * time.Second, "server unavailable (0x88)"},
		{0x80, 4 * time.Second, "unspecified error (0x80)"},
	} {
		t.Run(c.text, func(t *testing.T) {
			inWorld(t, cloudtest.Options{}, nil, func(w *world) {
				w.cloud.Change(func(f *cloudtest.Faults) { f.ConnackCode, f.ConnackCount = c.code, 5 })
				w.pardon = []string{"fault"}
				start := time.Now()
				w.loses(time.Second, func() { w.cloud.Cut("", false) })
				w.within(time.Hour, "told", func() bool { return strings.Contains(w.link.Status().LastError, c.text) })
				w.connected(time.Hour)
				if took := time.Since(start); took < c.slow {
					t.Errorf("5 refusals took %v", took)
				}
			})
		})
	}
}

// Whatever the length of an outage, its end is noticed within 2 minutes, and the
// cloud is not stormed meanwhile.
func TestOutages(t *testing.T) {
	for _, d := range []time.Duration{5 * time.Minute, 30 * time.Minute, 24 * time.Hour} {
		t.Run(d.String(), func(t *testing.T) {
			inWorld(t, cloudtest.Options{}, nil, func(w *world) {
				w.cloud.Change(func(f *cloudtest.Faults) { f.Refuse = true })
				w.cloud.Cut("", true)
				w.dials.Store(0)
				<-time.After(d)
				if n := int(w.dials.Load()); n > 8+int(d/(20*time.Second)) || n < int(d/(3*time.Minute)) {
					t.Errorf("%d attempts in %v", n, d)
				}
				if f := w.link.Faults(); len(f) != 1 || !strings.HasPrefix(f[0], "not connected to the cloud since 2000-01-01T00:0") {
					t.Errorf("faults %q", f)
				}
				w.cloud.Heal()
				w.connected(2*time.Minute + time.Second)
				if len(w.link.Faults()) != 0 {
					t.Errorf("faults %q", w.link.Faults())
				}
			})
		})
	}
}

// A link that comes and goes does not connect ever faster.
func TestFlapping(t *testing.T) {
	inWorld(t, cloudtest.Options{}, nil, func(w *world) {
		w.dials.Store(0)
		for start := time.Now(); time.Since(start) < time.Hour; {
			<-time.After(time.Second)
			w.cloud.Cut("", true)
		}
		if n := w.dials.Load(); n > 200 {
			t.Errorf("%d connections in an hour", n)
		}
		// After a good minute all is forgotten.
		w.connected(3 * time.Minute)
		<-time.After(time.Minute)
		w.loses(time.Second, func() { w.cloud.Cut("", true) })
		w.connected(2 * time.Second)
	})
}

// Refresh ends the wait, but not AWS's second between two CONNECTs.
func TestRefreshConnects(t *testing.T) {
	inWorld(t, cloudtest.Options{}, func(o *Options) { o.Timing.Retry = Backoff{time.Hour, time.Hour} }, func(w *world) {
		for range 3 {
			w.loses(time.Second, func() { w.cloud.Cut("", true) })
			w.link.Refresh()
			w.connected(2 * time.Second)
		}
	})
}

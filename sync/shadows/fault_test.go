package shadows_test

import (
	"fmt"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// meet plays an exchange with each of so many things: trouble strikes when it has
// begun, is over after half a minute, and then both sides must have what is
// wanted.
func meet(t *testing.T, o cloudtest.Options, all []exchange, trouble func(s *site)) {
	t.Helper()
	things := map[string]shadows.Direction{}
	for i := range all {
		things[fmt.Sprintf("T%d", i)] = shadows.Both
	}
	inSite(t, o, things, func(s *site) {
		s.pardon = []string{"keep-alive"}
		s.within(time.Minute, "connected", s.inStep)
		for i, x := range all {
			if !x.fresh {
				s.change("cloud", fmt.Sprintf("T%d", i), "", common)
			}
		}
		s.within(time.Minute, "in step at the beginning", func() bool { return s.inStep() && s.allEqual(things) })
		live := all[0].live
		if !live {
			s.away()
		}
		s.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 10 * time.Millisecond })
		for i, x := range all {
			x.act(s, fmt.Sprintf("T%d", i))
		}
		if !live {
			s.back()
		}
		trouble(s)
		<-time.After(30 * time.Second)
		s.cloud.Heal()
		s.link.Refresh()
		if s.blocks {
			s.rec.Refresh()
		}
		s.rests(10 * time.Minute)
		sent := s.sent.Load()
		<-time.After(time.Minute)
		if n := s.sent.Load(); n != sent {
			s.Errorf("%d requests while all was in step", n-sent)
		}
		for i, x := range all {
			s.became(fmt.Sprintf("T%d", i), x)
		}
	})
}

// faults strike the messages of an exchange: the next one, the next n, or all
// until they are healed.
var faults = map[string]func(*cloudtest.Faults, cloudtest.Count){
	"none":         func(*cloudtest.Faults, cloudtest.Count) {},
	"409":          func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowCode, f.ShadowCount = 409, n },
	"429":          func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowCode, f.ShadowCount = 429, n },
	"500":          func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowCode, f.ShadowCount = 500, n },
	"503":          func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowCode, f.ShadowCount = 503, n },
	"403":          func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowCode, f.ShadowCount = 403, n },
	"413":          func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowCode, f.ShadowCount = 413, n },
	"request lost": func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowLost = n },
	"answer lost":  func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowAnswerLost = n },
	"answer late":  func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowDelay = time.Duration(4-n) * 6 * time.Second },
	"twice":        func(f *cloudtest.Faults, n cloudtest.Count) { f.DeliverTwice = n },
	"swapped":      func(f *cloudtest.Faults, n cloudtest.Count) { f.DeliverSwapped = n },
	"reordered":    func(f *cloudtest.Faults, n cloudtest.Count) { f.ShadowReorder = true },
	"publish lost": func(f *cloudtest.Faults, n cloudtest.Count) { f.PublishLost = n },
	"puback lost":  func(f *cloudtest.Faults, n cloudtest.Count) { f.PubackLost = n },
	"puback twice": func(f *cloudtest.Faults, n cloudtest.Count) { f.PubackTwice = n },
	"throttled":    func(f *cloudtest.Faults, n cloudtest.Count) { f.PubackCode, f.PubackCount = 0x97, n },
	"refused":      func(f *cloudtest.Faults, n cloudtest.Count) { f.PubackCode, f.PubackCount = 0x87, n },
	"disconnected": func(f *cloudtest.Faults, n cloudtest.Count) {
		f.DisconnectAfter, f.DisconnectCode = max(int(n), 1), 0x8B
	},
	"clock wrong": func(f *cloudtest.Faults, n cloudtest.Count) { f.ClockOffset = time.Duration(n) * 1000 * time.Hour },
}

// strike is when a fault begins, after the beginning of the exchange, and how many
// messages it meets. A round trip takes 20 ms.
type strike struct {
	after time.Duration
	count cloudtest.Count
}

// strikes are few, or with -sequences above 1,000 many.
func strikes() []strike {
	few := []strike{{0, 1}, {0, cloudtest.Always}, {25 * time.Millisecond, 1}}
	if *sequences <= 1000 {
		return few
	}
	return append(few, strike{0, 2}, strike{5 * time.Millisecond, 1}, strike{15 * time.Millisecond, 1}, strike{35 * time.Millisecond, 1},
		strike{45 * time.Millisecond, 1}, strike{55 * time.Millisecond, 1}, strike{25 * time.Millisecond, cloudtest.Always})
}

// Each exchange, alone, with each fault in it.
func TestFaultInEachExchange(t *testing.T) {
	for name, set := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, x := range exchanges {
				for _, when := range strikes() {
					t.Run(fmt.Sprintf("%s/%v/%d", x.name, when.after, when.count), func(t *testing.T) {
						meet(t, cloudtest.Options{}, []exchange{x}, func(s *site) {
							if when.after > 0 {
								s.within(time.Minute, "connected", s.link.Connected)
								<-time.After(when.after)
							}
							// To these the cloud means what it says; all else passes by itself.
							s.blocks = name == "403" || name == "413" || name == "refused"
							s.cloud.Change(func(f *cloudtest.Faults) { set(f, when.count) })
							if name == "swapped" { // with one that comes later
								<-time.After(2 * time.Second)
								s.change("cloud", "T0", "other", "{}")
							}
						})
					})
				}
			}
		})
	}
}

// The link is cut, or the process killed, at each moment of all exchanges; the
// session in the cloud lives on or not, so that answers come after the cut or
// never.
func TestCutInEachExchange(t *testing.T) {
	live, away := split(exchanges)
	step := 10 * time.Millisecond
	if *sequences > 1000 {
		step = time.Millisecond
	}
	for what, strike := range map[string]func(*site){
		"cut":            func(s *site) { s.cloud.Cut(core, true) },
		"cut and forgot": func(s *site) { s.cloud.ForgetSession(core) },
		"plug pulled":    func(s *site) { s.cloud.PullPlug() },
		"killed":         func(s *site) { s.kill() },
		"cut and killed": func(s *site) { s.cloud.Cut(core, true); <-time.After(20 * time.Millisecond); s.kill() },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for at := time.Duration(0); at < 150*time.Millisecond; at += step {
				for _, all := range [][]exchange{live, away} {
					t.Run(fmt.Sprintf("%v/live %v", at, all[0].live), func(t *testing.T) {
						meet(t, cloudtest.Options{Limits: cloudtest.NoRates()}, all, func(s *site) {
							if !all[0].live {
								s.within(time.Minute, "connected", s.link.Connected)
							}
							<-time.After(at)
							strike(s)
						})
					})
				}
			}
		})
	}
}

// What was noticed an hour, some days and three weeks later is the same, by each
// reading of AWS's documentation.
func TestAwayForLong(t *testing.T) {
	_, away := split(exchanges)
	for _, missing := range []cloudtest.MissingVersion{
		cloudtest.MissingConflicts, cloudtest.MissingTaken, cloudtest.MissingZero, cloudtest.MissingBad, cloudtest.MissingIsNotFound,
	} {
		for _, counts := range []bool{false, true} {
			for _, d := range []time.Duration{time.Hour, 49 * time.Hour, 20 * 24 * time.Hour} {
				readings := cloudtest.Readings{MissingVersion: missing, DeleteCounts: counts, NullsLeaveNothing: counts, NullsUnstamped: counts, ArrayStamp: counts}
				t.Run(fmt.Sprintf("%d/%v/%v", missing, counts, d), func(t *testing.T) {
					t.Parallel()
					slow := make([]exchange, len(away))
					for i, x := range away {
						slow[i] = x
						slow[i].act = func(s *site, thing string) {
							x.act(s, thing)
							if thing == "T3" {
								<-time.After(d) // some change before it, others after
							}
						}
					}
					meet(t, cloudtest.Options{Readings: readings}, slow, func(*site) {})
				})
			}
		}
	}
}

// A change that is made when the outcome of the one before is not known: what the
// cloud has is our own earlier write, and no conflict, in both sections.
func TestChangeWhileOutcomeUnknown(t *testing.T) {
	strikes := map[string]func(s *site){
		"cut":         func(s *site) { s.cloud.Cut(core, true) },
		"killed":      func(s *site) { s.kill() },
		"plug pulled": func(s *site) { s.cloud.PullPlug() },
	}
	for name, set := range faults {
		strikes[name] = func(s *site) { s.cloud.Change(func(f *cloudtest.Faults) { set(f, 1) }) }
	}
	for name, strike := range strikes {
		for _, at := range []time.Duration{0, 5 * time.Millisecond, 15 * time.Millisecond, 25 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%v", name, at), func(t *testing.T) {
				inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
					s.pardon = []string{"keep-alive"}
					s.change("cloud", "T0", "", common)
					s.rests(time.Minute)
					s.cloud.Change(func(f *cloudtest.Faults) { f.Latency = 10 * time.Millisecond })
					s.change("local", "T0", "", `{"desired":{"a":2},"reported":{"a":2}}`)
					<-time.After(at)
					strike(s)
					<-time.After(15*time.Millisecond - min(at, 15*time.Millisecond))
					s.change("local", "T0", "", `{"desired":{"a":3},"reported":{"a":3}}`)
					<-time.After(time.Second)
					s.change("local", "T0", "", `{"desired":{"a":4},"reported":{"a":4}}`)
					<-time.After(30 * time.Second)
					s.cloud.Heal()
					s.link.Refresh()
					s.rests(10 * time.Minute)
					s.became("T0", exchange{want: `{"desired":{"a":4,"o":{"x":1}},"reported":{"a":4,"o":{"x":1}}}`})
					if n := s.rec.Stats().Conflicts; n > 0 {
						t.Errorf("%d conflicts with itself", n)
					}
				})
			})
		}
	}
}

// What somebody in the cloud puts back, after he has seen a change of which the gateway
// had no answer, stays put back.
func TestPutBackAfterALostAnswer(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("answer lost %v", lost), func(t *testing.T) {
			inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
				s.change("cloud", "T0", "", `{"desired":{"p":"off"}}`)
				s.rests(time.Minute)
				if lost {
					s.cloud.Change(func(f *cloudtest.Faults) { f.ShadowAnswerLost = 1 })
				}
				s.change("local", "T0", "", `{"desired":{"p":"on"}}`)
				s.within(time.Second, "it arrives", func() bool { return s.equal("T0", "") })
				s.away()
				<-time.After(time.Minute)
				s.change("cloud", "T0", "", `{"desired":{"p":"off"}}`)
				s.back()
				s.rests(time.Minute)
				s.became("T0", exchange{want: `{"desired":{"p":"off"}}`})
			})
		})
	}
}

// A change from one half of a surrogate pair to another is a change, and goes up.
func TestHalfOfASurrogatePairGoesUp(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(1), func(s *site) {
		s.change("local", "T0", "", `{"reported":{"v":"\ud800"}}`)
		s.rests(time.Minute)
		_, before := s.cloudHas("T0", "")
		s.change("local", "T0", "", `{"reported":{"v":"\ud802"}}`)
		s.rests(time.Minute)
		if _, now := s.cloudHas("T0", ""); now != before+1 { // the cloud in the test has one character for both
			t.Errorf("version %d in the cloud, was %d", now, before)
		}
	})
}

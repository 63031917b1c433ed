package telemetry_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"greengate/sync/telemetry"
)

// firstAfter returns how many publishes came before the n-th of a topic.
func (r *rig) firstAfter(topic string, n int) int {
	for i, p := range r.link.got() {
		if p.Topic == topic {
			if n == 0 {
				return i
			}
			n--
		}
	}
	return -1
}

// High goes before normal before low, and none of them starves.
func TestPriorities(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		for _, p := range []telemetry.Priority{telemetry.Low, telemetry.Normal, telemetry.High} {
			r.number("d", p.String(), 0, 1000, telemetry.Route{Key: p.String(), Priority: p})
		}
		r.link.connect()
		r.drained()
		high, normal, low := r.firstAfter("high", 999), r.firstAfter("normal", 999), r.firstAfter("low", 999)
		if high > 1300 || normal < high || low < normal {
			t.Errorf("the last of high came as number %d, of normal %d, of low %d", high, normal, low)
		}
		if normal, low := r.firstAfter("normal", 20), r.firstAfter("low", 20); normal > 400 || low > 1000 {
			t.Errorf("meanwhile number 20 of normal came as number %d, of low as %d", normal, low)
		}
	})
}

// A row that changes its priority does not change the order of a source and topic,
// whatever waits, nor after a restart.
func TestPriorityChanges(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, telemetry.Options{})
				n := 0
				for i, p := range []telemetry.Priority{telemetry.Low, telemetry.High, telemetry.Normal, telemetry.High} {
					r.number("d", "t", n, n+300, telemetry.Route{Key: fmt.Sprint(i), Priority: p})
					r.number("d", fmt.Sprint("other", i), 0, 10, telemetry.Route{Key: fmt.Sprint(i), Priority: p})
					n += 300
					if restart {
						r.restart()
					}
				}
				r.link.connect()
				r.drained()
				r.wantOrder(map[string]int{"d t": 1200, "d other1": 10})
				if at := r.firstAfter("other1", 9); at > 40 {
					t.Errorf("what has no backlog came as number %d, though its priority is high", at)
				}
				// Nothing waits: now the priority of the row holds.
				r.link.cut()
				r.number("d", "t", 1200, 1300, telemetry.Route{Key: "3", Priority: telemetry.High})
				if st := r.spool.Stats(); st.ByPriority["high"].Messages != 100 {
					t.Errorf("waiting %+v", st.ByPriority)
				}
			})
		})
	}
}

// While a backlog drains slowly, new messages of a row with a live share do not wait
// behind it.
func TestLiveShare(t *testing.T) {
	for _, overtake := range []bool{false, true} {
		t.Run(fmt.Sprint("overtake ", overtake), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				live := telemetry.Route{Key: "live", LiveShare: 0.2, Overtake: overtake}
				r := newRig(t, telemetry.Options{})
				r.link.window = 2 // 100 a second
				r.number("old", "t", 0, 6000, live)
				r.link.connect()
				time.Sleep(time.Second)
				worst := map[string]time.Duration{}
				for i := range 100 {
					for _, from := range []string{"new", "old"} {
						n := i
						if from == "old" {
							n += 6000
						}
						start, payload := time.Now(), strconv.Itoa(n)
						r.put(from, "t", payload, live)
						if from == "old" && !overtake {
							continue
						}
						r.wait("live message", func() bool {
							all := r.link.got()
							for j := len(all) - 1; j >= 0 && j > len(all)-400; j-- {
								if property(all[j], "gg-source") == from && string(all[j].Payload) == payload {
									return true
								}
							}
							return false
						})
						worst[from] = max(worst[from], time.Since(start))
					}
				}
				for from, d := range worst {
					if d > time.Second {
						t.Errorf("a live message of %s took %v", from, d)
					}
				}
				backlog := r.spool.Stats().Messages
				if backlog < 1000 {
					t.Fatalf("only %d wait: there was no backlog to go before", backlog)
				}
				// Where the backlog ends, live and backlog become one sequence again.
				r.wait("end of the backlog", func() bool { return r.spool.Stats().Messages < 400 })
				r.number("newest", "t", 0, 600, live)
				r.drained()
				if !overtake {
					r.wantOrder(map[string]int{"old t": 6100, "new t": 100, "newest t": 600})
				}
				if s := r.settlements(); s["sent"] != 6800 {
					t.Errorf("settled %v", s)
				}
			})
		})
	}
}

// Without a share, order is all.
func TestNoLiveShare(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.number("d", "t", 0, 2000, telemetry.Route{})
		r.link.connect()
		r.number("d", "t", 2000, 3000, telemetry.Route{})
		r.drained()
		if n := r.wantOrder(map[string]int{"d t": 3000}); n != 0 {
			t.Errorf("%d came twice", n)
		}
	})
}

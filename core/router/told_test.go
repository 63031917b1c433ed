package router_test

import (
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"greengate/core/message"
	"greengate/core/router"
)

// A refusal is told once for each table, however often and from however many
// ports it comes, and always counted.
func TestToldOnce(t *testing.T) {
	table := func() *gate { return open(row{"a", "up", "cloud"}) }
	r, log := newRouter(table(), nil)
	refuse := func() {
		for range 2 {
			p := r.Port(endpoint("a"))
			for range 50 {
				publish(t, p, "up", "")
				publish(t, p, "secret", "")
			}
			publish(t, r.Port(endpoint("b")), "secret", "")
		}
	}
	told := func(want int) {
		t.Helper()
		if got := log.take(); len(got) != want {
			t.Errorf("told %d times, want %d: %v", len(got), want, got)
		}
	}
	refuse()
	told(3)
	refuse()
	told(0)
	r.SubscriptionsChanged()
	refuse()
	told(0)
	r.SetGate(table())
	refuse()
	told(3)
	if got := reasons(r); !maps.Equal(got, map[string]uint64{"refused no-cloud": 400, "refused no-row": 408}) {
		t.Errorf("counted %v", got)
	}
}

func TestToldWords(t *testing.T) {
	d := &devices{answer: answer{verdict: router.Dropped, reason: "slow-reader"}}
	d.subscribe("b", "t")
	r, log := newRouter(open(row{"a", "t", "b"}, row{"a", "idle", "b"}), map[message.Kind]router.Target{message.Device: d})
	p := r.Port(endpoint("a"))
	for _, c := range []struct {
		topic string
		level slog.Level
		text  string
		attrs map[string]string
	}{
		{"t", slog.LevelWarn, "message dropped", map[string]string{"reason": "slow-reader", "from": "a", "topic": "t", "to": "b"}},
		{"idle", slog.LevelInfo, "message dropped", map[string]string{"reason": "no-subscriber", "from": "a", "topic": "idle"}},
		{"no", slog.LevelInfo, "message refused", map[string]string{"reason": "no-row", "from": "a", "topic": "no"}},
	} {
		publish(t, p, c.topic, "")
		got := log.take()
		if len(got) != 1 || got[0].level != c.level || !strings.HasPrefix(got[0].text, c.text) || !maps.Equal(got[0].attrs, c.attrs) {
			t.Errorf("%s: told %+v", c.topic, got)
		}
	}
	// Another loss in the same place is another story, and so is one that comes
	// after waiting.
	d.reason = "offline"
	publish(t, p, "t", "")
	cell, _ := r.Judge(endpoint("a"), "t", endpoint("b"))
	m := &message.Message{Source: endpoint("a"), Topic: "t"}
	for range 3 {
		cell.Queue()
		r.Settle(cell, router.Expired, "expired", m, endpoint("b"))
	}
	got := log.take()
	if len(got) != 2 || got[0].attrs["reason"] != "offline" || got[1].attrs["reason"] != "expired" || got[1].level != slog.LevelInfo {
		t.Errorf("told %+v", got)
	}
	if n := reasons(r)["expired expired"]; n != 3 {
		t.Errorf("counted %d times", n)
	}
}

// One who is refused on ever new topics fills neither the memory nor the log.
func TestToldIsBounded(t *testing.T) {
	r, log := newRouter(open(), nil)
	p := r.Port(endpoint("intruder"))
	const topics, bound = 1500, 1000
	refuse := func() (told, warnings int) {
		for i := range topics {
			publish(t, p, fmt.Sprintf("probe/%d", i), "")
		}
		for _, l := range log.take() {
			if l.level == slog.LevelWarn {
				warnings++
			} else {
				told++
			}
		}
		return told, warnings
	}
	for _, want := range [][2]int{{bound, 1}, {0, 0}} {
		if told, warnings := refuse(); told != want[0] || warnings != want[1] {
			t.Errorf("told %d refusals and %d warnings, want %v", told, warnings, want)
		}
	}
	r.SetGate(open())
	if told, warnings := refuse(); told != bound || warnings != 1 {
		t.Errorf("a new table tells %d refusals and %d warnings", told, warnings)
	}
	if n := reasons(r)["refused no-row"]; n != 3*topics {
		t.Errorf("counted %d, want %d", n, 3*topics)
	}
}

func TestToldCutsLongTopics(t *testing.T) {
	r, log := newRouter(open(), nil)
	long := "a" + strings.Repeat("ö", message.MaxTopic/2-1)
	publish(t, r.Port(endpoint("a")), long, "")
	topic := log.take()[0].attrs["topic"]
	if len(topic) > 260 || !utf8.ValidString(topic) || !strings.HasPrefix(long, strings.TrimSuffix(topic, "...")) {
		t.Errorf("told %d bytes: %.300q", len(topic), topic)
	}
}

// Many ports meet the same refusal at once, while tables come and go.
func TestToldConcurrent(t *testing.T) {
	r, log := newRouter(open(), nil)
	const ports, rounds, tables = 4, 300, 20
	var all sync.WaitGroup
	for range ports {
		p := r.Port(endpoint("a"))
		all.Go(func() {
			for i := range rounds {
				publish(t, p, fmt.Sprint("t/", i%3), "")
			}
		})
	}
	all.Go(func() {
		for range tables {
			r.SetGate(open())
		}
	})
	all.Wait()
	if n := len(log.take()); n < 3 || n > 3*(tables+1) {
		t.Errorf("told %d times under %d tables", n, tables+1)
	}
	if n := reasons(r)["refused no-row"]; n != ports*rounds {
		t.Errorf("counted %d, want %d", n, ports*rounds)
	}
}

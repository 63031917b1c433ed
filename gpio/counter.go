package gpio

import (
	"bytes"
	"context"
	"strconv"
	"time"
)

// counter counts the pulses of an input. Without debouncing every edge is one,
// and those that came faster than they could be read count, too, by the numbers
// that the kernel gives them.
//
// Two goroutines have it: one reads and counts, one tells at the interval, so that
// whoever takes what is told holds up no edge.
type counter struct {
	*contact
	silent
	counts edgeSet
	every  time.Duration
	scale  float64
	unit   string

	// Under contact.mu.
	pulses uint64
	values []Value // that were told last
	at     time.Time
}

func newCounter(b *Bank, c Counter, path string) *counter {
	n := &counter{counts: edgesOf(c.Edges), every: c.Every, scale: c.Scale, unit: c.Unit}
	n.contact = newContact(b, &contact{
		name: c.Name, kind: "counter", path: path, pin: c.Pin, pull: c.Pull, want: n.counts, raw: c.Debounce == 0,
		topic: c.Topic, thing: c.Thing, key: c.Key, listener: n,
	}, c.Debounce)
	n.storm.limit = 0 // however many there are, it tells no more often
	return n
}

func (n *counter) edge(e edge) { n.add(1 + uint64(e.missed)) }

func (n *counter) change(c change) {
	if n.counts.has(c.level) {
		n.add(1)
	}
}

func (n *counter) add(pulses uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pulses += pulses
}

// count is what a counter has counted at a time.
type count struct {
	at     time.Time
	pulses uint64
	losses int  // how often the line was lost
	works  bool // it is not lost now
}

func (n *counter) count() count {
	n.mu.Lock()
	defer n.mu.Unlock()
	return count{time.Now(), n.pulses, n.losses, n.failure.tries == 0}
}

// tell tells the count at the interval until ctx is cancelled. What the line was
// lost in is no interval to tell of: how many pulses it had nobody knows.
func (n *counter) tell(ctx context.Context) {
	last := n.count()
	var known []byte // to the shadow
	next := last.at
	for {
		for next = next.Add(n.every); time.Until(next) < n.every/2; next = next.Add(n.every) {
			// What was missed is not made up for, and a short interval has no rate.
		}
		if !pause(ctx, time.Until(next)) {
			return
		}
		now := n.count()
		if last.works && now.works && now.losses == last.losses {
			v := n.measure(last, now)
			n.mu.Lock()
			n.values, n.at = v, now.at
			n.mu.Unlock()
			if n.topic != "" {
				n.bank.o.Publish(n.topic, payload(n.name, v, now.at, n.simulated()), n.name)
			}
			if r := reported(v); !bytes.Equal(r, known) {
				n.shadow.owe(r)
				known = r
			}
		}
		last = now
	}
}

// measure makes the values that are told: pulses since the start, what they stand
// for, and the rate of the last interval.
func (n *counter) measure(last, now count) []Value {
	perSecond := "1/s"
	if n.unit != "" {
		perSecond = n.unit + "/s"
	}
	rate := float64(now.pulses-last.pulses) * n.scale / now.at.Sub(last.at).Seconds()
	return []Value{
		{"pulses", float64(now.pulses), ""},
		{"total", n.total(now.pulses), n.unit},
		{"rate", significant(rate, 6), perSecond},
	}
}

func (n *counter) total(pulses uint64) float64 { return significant(float64(pulses)*n.scale, 12) }

// significant rounds to so many digits.
func significant(f float64, digits int) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', digits, 64), 64)
	switch {
	case err != nil:
		return f // what has no such digits
	case rounded == 0:
		return 0 // not -0, which a negative scale makes
	}
	return rounded
}

func (n *counter) state(mode string) State {
	s := n.common(mode)
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Level, s.Unit = decimal(n.total(n.pulses)), n.unit
	if n.values != nil {
		at := n.at
		s.Values, s.At = n.values, &at
	}
	return s
}

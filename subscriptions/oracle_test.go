package subscriptions_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"greengate/core/message"
	. "greengate/subscriptions"
)

// oracle answers as the table must, by looking at each row and putting the
// names of both ends in place of the placeholders.
type oracle struct {
	rows []Row
	site Site
}

// allows returns the first row that lets from send the topic to `to`, or -1.
// The row after the last is own_shadows.
func (o oracle) allows(from message.Endpoint, topic string, to message.Endpoint) int {
	if !o.exists(from) || !o.exists(to) {
		return -1
	}
	for i, r := range o.rows {
		if r.Shadow != "" {
			if o.is(from, r.From) && to.Kind == message.Shadow && anyMatches(requests(r.Shadow, r.May), topic) ||
				from.Kind == message.Shadow && o.is(to, r.From) && anyMatches(answers(r.Shadow, r.May), topic) {
				return i
			}
			continue
		}
		filter := strings.NewReplacer("${from}", from.Name, "${to}", to.Name).Replace(r.Topic)
		if o.is(from, r.From) && o.is(to, r.To) && message.Match(filter, topic) {
			return i
		}
	}
	if o.own(from) && to.Kind == message.Shadow && anyMatches(requests(from.Name, nil), topic) ||
		from.Kind == message.Shadow && o.own(to) && anyMatches(answers(to.Name, nil), topic) {
		return len(o.rows)
	}
	return -1
}

func (o oracle) device(e message.Endpoint) *Device {
	if i := slices.IndexFunc(o.site.Devices, func(d Device) bool { return e == message.DeviceEndpoint(d.Thing) }); i >= 0 {
		return &o.site.Devices[i]
	}
	return nil
}

func (o oracle) exists(e message.Endpoint) bool {
	return e.Kind != message.Device || o.device(e) != nil
}

func (o oracle) own(e message.Endpoint) bool {
	d := o.device(e)
	return d != nil && d.OwnShadows && !d.NoShadow
}

func (o oracle) is(e message.Endpoint, ends Ends) bool {
	for _, end := range ends {
		label, isLabel := strings.CutPrefix(end, "label:")
		switch d := o.device(e); {
		case end == "device:*":
			if d != nil {
				return true
			}
		case isLabel:
			if d != nil && slices.Contains(d.Labels, label) {
				return true
			}
		default:
			if one, err := message.ParseEndpoint(end); err == nil && one == e {
				return true
			}
		}
	}
	return false
}

func anyMatches(filters []string, topic string) bool {
	return slices.ContainsFunc(filters, func(f string) bool { return message.Match(f, topic) })
}

func requests(thing string, may []string) (filters []string) {
	for _, op := range []string{"get", "update", "delete"} {
		if may == nil || slices.Contains(may, op) {
			filters = append(filters, "$aws/things/"+thing+"/shadow/"+op, "$aws/things/"+thing+"/shadow/name/+/"+op)
		}
	}
	return filters
}

func answers(thing string, may []string) (filters []string) {
	for _, op := range requests(thing, may) {
		filters = append(filters, op+"/accepted", op+"/rejected")
	}
	if may == nil || slices.Contains(may, "watch") {
		for _, tail := range []string{"update/delta", "update/documents"} {
			filters = append(filters, "$aws/things/"+thing+"/shadow/"+tail, "$aws/things/"+thing+"/shadow/name/+/"+tail)
		}
	}
	return filters
}

// judge compares one lookup with the oracle, for all receivers.
func (w *world) judge(t testing.TB, table *Table, from message.Endpoint, topic string) (hits int) {
	t.Helper()
	what := func() string { return fmt.Sprintf("\n%+v\n%+v\nfrom %v on %q", w.site, w.rows, from, topic) }
	m := table.Lookup(from, topic)
	yielded := map[message.Endpoint]int{}
	yield := func(to message.Endpoint, row int) {
		if _, twice := yielded[to]; twice {
			t.Fatalf("%v is yielded twice%s", to, what())
		}
		yielded[to] = row
	}
	if m != nil {
		m.Services(yield)
		m.Devices(yield)
	}
	for _, to := range w.ends {
		want := w.allows(from, topic, to)
		got, row := -1, 0
		if m != nil {
			if r, ok := m.Allows(to); ok {
				got = r
			}
			if r, ok := yielded[to]; !ok {
				row = -1
			} else {
				row = r
			}
		} else {
			row = -1
		}
		if got != want || row != want {
			t.Fatalf("to %v: Allows %d, yielded %d, want row %d%s", to, got, row, want, what())
		}
		if want >= 0 {
			hits++
		}
	}
	if m != nil && hits == 0 {
		t.Fatalf("a match that allows nobody%s", what())
	}
	return hits
}

func TestLookupAgreesWithOracle(t *testing.T) {
	probes, hits := 0, 0
	for seed := range uint64(400) {
		w := newWorld(seed)
		table, err := Compile(w.rows, w.site)
		if err != nil {
			t.Fatalf("Compile refuses what Check allows: %v\n%+v", err, w.rows)
		}
		for range 50 {
			probes++
			from, topic := w.probe()
			if w.judge(t, table, from, topic) > 0 {
				hits++
			}
		}
	}
	if hits < probes/5 {
		t.Errorf("only %d of %d probes find a row, which proves little", hits, probes)
	}
}

// FuzzLookup tries topics in random groups.
func FuzzLookup(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, uint8(seed), newWorld(seed).topic())
	}
	f.Fuzz(func(t *testing.T, seed uint64, from uint8, topic string) {
		if message.CheckTopic(topic) != nil {
			return
		}
		w := newWorld(seed)
		table, err := Compile(w.rows, w.site)
		if err != nil {
			t.Fatal(err)
		}
		w.judge(t, table, w.ends[int(from)%len(w.ends)], topic)
	})
}

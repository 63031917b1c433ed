package router_test

import (
	"fmt"
	"maps"
	"runtime"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

// waiting is a target for which messages wait until the test settles them.
type waiting struct {
	r     *router.Router
	cells []*router.Cell
}

func (w *waiting) Deliver(_ *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	h.Cell.Queue()
	w.cells = append(w.cells, h.Cell)
	return router.Queued, ""
}

func (w *waiting) settle(v router.Verdict) {
	w.r.Settle(w.cells[0], v, "", &message.Message{}, message.Endpoint{})
	w.cells[0] = nil // held no more
	w.cells = w.cells[1:]
}

func TestWaitingIsSettled(t *testing.T) {
	w := &waiting{}
	g := open(row{"a", "t", "function:f"})
	r, _ := newRouter(g, map[message.Kind]router.Target{message.Function: w})
	w.r = r
	for range 4 {
		publish(t, r.Port(endpoint("a")), "t", "")
	}
	wantLedger(t, r, router.Counts{Accepted: 4, Waiting: 4})
	w.settle(router.Delivered)
	w.settle(router.Expired)
	w.settle(router.Dropped)
	want := router.Counts{Accepted: 4, Delivered: 1, Expired: 1, Dropped: 1, Waiting: 1}
	wantLedger(t, r, want)
	if got := rowFigures(r, g); !maps.Equal(got, map[string]router.Counts{"a|t|function:f": want}) {
		t.Errorf("rows %v", got)
	}
}

// A row that stands in both tables keeps its figures, wherever it moves.
func TestRowsKeepFigures(t *testing.T) {
	var rows []row
	for i := range 9 {
		rows = append(rows, row{"a", fmt.Sprint("t/", i), "function:f"})
	}
	pick := func(places ...int) (picked []row) {
		for _, i := range places {
			picked = append(picked, rows[i])
		}
		return picked
	}
	fresh := row{"new", "#", "cloud"}
	for name, next := range map[string][]row{
		"the same":         pick(0, 1, 2, 3, 4, 5, 6, 7, 8),
		"one in front":     append([]row{fresh}, rows...),
		"one at the end":   append(pick(0, 1, 2, 3, 4, 5, 6, 7, 8), fresh),
		"one in between":   append(append(pick(0, 1, 2), fresh), pick(3, 4, 5, 6, 7, 8)...),
		"one replaced":     append(append(pick(0, 1, 2), fresh), pick(4, 5, 6, 7, 8)...),
		"one taken out":    pick(0, 1, 2, 4, 5, 6, 7, 8),
		"first taken out":  pick(1, 2, 3, 4, 5, 6, 7, 8),
		"turned round":     pick(8, 7, 6, 5, 4, 3, 2, 1, 0),
		"mixed and less":   pick(4, 0, 8, 2),
		"one that is left": pick(7),
		"twice the same":   pick(3, 3, 1),
		"none":             {fresh},
		"nothing":          nil,
	} {
		t.Run(name, func(t *testing.T) {
			done := &answer{verdict: router.Delivered}
			r, _ := newRouter(open(rows...), map[message.Kind]router.Target{message.Function: done})
			p := r.Port(endpoint("a"))
			want := map[string]router.Counts{}
			var total router.Counts
			for i := range 7 { // the last two rows are not used
				n := uint64(i + 1)
				for range n {
					publish(t, p, fmt.Sprint("t/", i), "")
				}
				total = total.Add(router.Counts{Accepted: n, Delivered: n})
				for _, row := range next {
					if row == rows[i] {
						want[row.key()] = router.Counts{Accepted: n, Delivered: n}
					}
				}
			}
			g := open(next...)
			r.SetGate(g)
			if got := rowFigures(r, g); !maps.Equal(got, want) {
				t.Errorf("rows %v, want %v", got, want)
			}
			wantLedger(t, r, total)
		})
	}
}

// What was counted for rows that are gone stays in the sum, after any number of
// reloads, and what waits there is settled there.
func TestRowsThatGo(t *testing.T) {
	w := &waiting{}
	table := func(i int) *gate { return open(row{"a", "t", fmt.Sprint("function:f", i)}) }
	r, _ := newRouter(table(0), map[message.Kind]router.Target{message.Function: w})
	w.r = r
	p := r.Port(endpoint("a"))
	const reloads = 6
	for i := 1; i <= reloads; i++ {
		publish(t, p, "t", "")
		publish(t, p, "t", "")
		w.settle(router.Delivered) // one that waited through all reloads but the last
		r.SetGate(table(i))
		runtime.GC()
		wantLedger(t, r, router.Counts{Accepted: uint64(2 * i), Delivered: uint64(i), Waiting: uint64(i)})
		g := table(i)
		if got := rowFigures(r, g); len(got) != 0 {
			t.Errorf("the new row has figures %v", got)
		}
	}
	for range reloads {
		w.settle(router.Dropped)
		runtime.GC()
		r.SetGate(open())
	}
	wantLedger(t, r, router.Counts{Accepted: 2 * reloads, Delivered: reloads, Dropped: reloads})
}

// A row that comes back begins anew; the sum goes on.
func TestRowThatComesBack(t *testing.T) {
	done := &answer{verdict: router.Delivered}
	g := open(row{"a", "t", "cloud"})
	r, _ := newRouter(g, map[message.Kind]router.Target{message.Cloud: done})
	p := r.Port(endpoint("a"))
	publish(t, p, "t", "")
	r.SetGate(open())
	publish(t, p, "t", "")
	r.SetGate(g)
	publish(t, p, "t", "")
	wantLedger(t, r, router.Counts{Accepted: 3, Delivered: 2, Refused: 1})
	if got := rowFigures(r, g)["a|t|cloud"]; got != (router.Counts{Accepted: 1, Delivered: 1}) {
		t.Errorf("row %+v", got)
	}
}

// A port that is in the middle of a publish while tables come and go still
// counts in the sum.
func TestLatePublishCounts(t *testing.T) {
	done := &answer{verdict: router.Delivered}
	g := open(row{"a", "t", "cloud"})
	r, _ := newRouter(g, map[message.Kind]router.Target{message.Cloud: done})
	p := r.Port(endpoint("a"))
	way, err := p.Route([]byte("t"), message.CheckTopic)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.SetGate(open())
		runtime.GC()
	}
	p.Publish(&message.Message{Topic: "t"}, way)
	wantLedger(t, r, router.Counts{Accepted: 1, Delivered: 1})
}

// meddler is a gate to which something happens while it is asked.
type meddler struct {
	*gate
	meanwhile func()
}

func (m *meddler) Lookup(from message.Endpoint, topic string) router.Passage {
	p := m.gate.Lookup(from, topic)
	m.meddle()
	return p
}

func (m *meddler) Key(row int) string {
	m.meddle()
	return m.gate.Key(row)
}

func (m *meddler) meddle() {
	if f := m.meanwhile; f != nil {
		m.meanwhile = nil
		f()
	}
}

// A row that is used for the first time by a port whose table is replaced just
// then counts in the sum.
func TestFirstUseDuringReload(t *testing.T) {
	done := &answer{verdict: router.Delivered}
	m := &meddler{gate: open(row{"a", "t", "cloud"})}
	r, _ := newRouter(m, map[message.Kind]router.Target{message.Cloud: done})
	m.meanwhile = func() {
		for range 3 {
			r.SetGate(open(row{"a", "t", "cloud"}))
			runtime.GC()
		}
	}
	p := r.Port(endpoint("a"))
	publish(t, p, "t", "") // by the old table, which it had asked already
	wantLedger(t, r, router.Counts{Accepted: 1, Delivered: 1})
	publish(t, p, "t", "")
	wantLedger(t, r, router.Counts{Accepted: 2, Delivered: 2})
}

// A row that is used for the first time while the next table is made ready keeps
// its figures.
func TestFirstUseBeforeReload(t *testing.T) {
	done := &answer{verdict: router.Delivered}
	m := &meddler{gate: open(row{"a", "late", "cloud"}, row{"a", "t", "cloud"})}
	r, _ := newRouter(m, map[message.Kind]router.Target{message.Cloud: done})
	p := r.Port(endpoint("a"))
	publish(t, p, "t", "")
	m.meanwhile = func() { publish(t, p, "late", "") }
	next := open(m.gate.rows...)
	r.SetGate(next)
	one := router.Counts{Accepted: 1, Delivered: 1}
	if got := rowFigures(r, next); !maps.Equal(got, map[string]router.Counts{"a|late|cloud": one, "a|t|cloud": one}) {
		t.Errorf("rows %v", got)
	}
	wantLedger(t, r, one.Add(one))
}

// The keys of a large table are costly: a reload asks for few of them as long as
// the used rows stand where they stood, from the top or from the end.
func TestReloadAsksFewKeys(t *testing.T) {
	const n = 10_000
	table := func(change func([]row) []row) *gate {
		rows := make([]row, n)
		for i := range rows {
			rows[i] = row{"a", fmt.Sprint("t/", i), "cloud"}
		}
		return open(change(rows)...)
	}
	old := table(func(rows []row) []row { return rows })
	for name, c := range map[string]struct {
		change func([]row) []row
		most   int64
	}{
		"the same":        {func(rows []row) []row { return rows }, 10},
		"one in front":    {func(rows []row) []row { return append([]row{{"b", "x", "cloud"}}, rows...) }, 10},
		"half taken out":  {func(rows []row) []row { return append(rows[:n/4:n/4], rows[n*3/4:]...) }, 10},
		"a used one gone": {func(rows []row) []row { return rows[1:] }, n + 10},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := newRouter(old, nil)
			p := r.Port(endpoint("a"))
			for _, i := range []int{0, n - 1} {
				publish(t, p, fmt.Sprint("t/", i), "")
			}
			next := table(c.change)
			before := old.keys.Load()
			r.SetGate(next)
			if keys := old.keys.Load() - before + next.keys.Load(); keys > c.most {
				t.Errorf("%d keys, want at most %d", keys, c.most)
			}
			wantLedger(t, r, router.Counts{Accepted: 2, Refused: 2})
		})
	}
}

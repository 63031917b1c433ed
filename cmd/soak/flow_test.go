package main

import (
	"strings"
	"testing"

	"greengate/core/admin/client"
)

// story is what happens to the messages of a flow: s sends the next one, w takes it
// back; a acknowledges, h hears, H hears it marked as sent again, each with a digit.
func story(t *testing.T, text string) *flow {
	t.Helper()
	f := newFlow("f", 100)
	for _, step := range strings.Fields(text) {
		n := int(step[len(step)-1] - '0')
		switch step[0] {
		case 's':
			f.next()
		case 'w':
			f.withdraw(n)
		case 'a':
			f.ack(n)
		case 'h', 'H':
			f.arrive(n, step[0] == 'H')
		}
	}
	return f
}

func TestFlowTellsWhatBecameOfItsMessages(t *testing.T) {
	for _, c := range []struct {
		what, story string
		want        tally
	}{
		{"all is well", "s a1 h1 s h2 a2", tally{Sent: 2, Acked: 2, Arrived: 2}},
		{"lost", "s a1 s a2 h2", tally{Sent: 2, Acked: 2, Arrived: 1, Lost: 1}},
		{"not acknowledged, so it need not arrive", "s s a2 h2", tally{Sent: 2, Acked: 1, Arrived: 1}},
		{"not acknowledged, and it has arrived", "s h1", tally{Sent: 1, Arrived: 1}},
		{"twice, marked", "s a1 h1 H1", tally{Sent: 1, Acked: 1, Arrived: 1, Again: 1}},
		{"twice, not marked", "s a1 h1 h1", tally{Sent: 1, Acked: 1, Arrived: 1, Again: 1, Unmarked: 1}},
		{"overtaken", "s a1 s a2 h2 h1", tally{Sent: 2, Acked: 2, Arrived: 2, Reordered: 1}},
		{"never sent", "s a1 h1 h2", tally{Sent: 1, Acked: 1, Arrived: 1, Phantoms: 1}},
		{"taken back", "s w1", tally{}},
		{"taken back, and it has arrived", "s w1 h1", tally{Phantoms: 1}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if got := story(t, c.story).count(); got != c.want {
				t.Errorf("%s: got %+v, want %+v", c.story, got, c.want)
			}
		})
	}
}

func TestFlowKnowsItsPayloads(t *testing.T) {
	all := flows{}
	f := all.add("sensor-0", 300)
	n := f.next()
	body := f.payload(n)
	if len(body) < 290 || len(body) > 310 {
		t.Errorf("a payload of %d bytes, want about 300", len(body))
	}
	if !all.arrive(body, false) || f.count().Arrived != 1 {
		t.Errorf("%s is not known as message 1", body)
	}
	for _, foreign := range []string{"", "on", `{"flow":"other","n":1}`} {
		if all.arrive([]byte(foreign), false) {
			t.Errorf("%q was taken for a numbered message", foreign)
		}
	}
}

func TestAccountSeesWhatDoesNotAgree(t *testing.T) {
	even := client.Ledger{Accepted: 2, Delivered: 2}
	for _, c := range []struct {
		what, story string
		ledger      client.Ledger
		change      func(*account)
		want        string // in what is wrong; "" nothing is
	}{
		{"all is well", "s a1 h1 s a2 h2", even, nil, ""},
		{"one more accepted than was sent", "s a1 h1", even, nil, "accepted 2, but 1 were acknowledged and 1 sent"},
		{"fewer accepted than were acknowledged", "s a1 h1 s a2 h2 s a3 h3", even, nil, "accepted 2, but 3"},
		{"one may be under way when its connection ends", "s a1 h1 s h2", even, nil, ""},
		{"counted as delivered, and not heard", "s a1 h1 s a2", even, nil, "delivered 2, but 1 arrived"},
		{"a ledger that does not balance", "s a1 h1 s a2 h2", client.Ledger{Accepted: 2, Delivered: 2, Waiting: 1}, nil, "does not balance"},
		{"dropped", "s a1 h1 s a2", client.Ledger{Accepted: 2, Delivered: 1, Dropped: 1}, nil, "dropped 1, want none"},
		{"dropped, as is allowed", "s a1 h1 s a2", client.Ledger{Accepted: 2, Delivered: 1, Dropped: 1}, func(a *account) { a.lossy = true }, ""},
		{"nothing accepted while its receiver is away", "s a1 s a2", client.Ledger{}, func(a *account) { a.away = true }, ""},
		{"more accepted, as is allowed", "s a1 h1", client.Ledger{Accepted: 2, Delivered: 1, Dropped: 1}, func(a *account) { a.open, a.lossy = true, true }, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := story(t, c.story)
			a := &account{row: "r", flows: []*flow{f}, heard: func() int { return f.count().Arrived }}
			if c.change != nil {
				c.change(a)
			}
			got := strings.Join(a.check(c.ledger), "; ")
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

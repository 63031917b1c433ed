package admin

import (
	"cmp"
	"slices"
	"sync"

	"greengate/core/admin/client"
)

// Bounds of a frame of the flow, which covers half a second.
const (
	mostFlows  = 48  // kinds of messages that it tells apart; of the others it has the number
	mostLooked = 500 // messages that it looks at; of the others it has the number
)

// flow gathers the messages between two frames: how many went from whom to whom with
// which verdict, and the topic of the last of them. Its cost has a bound, however many
// there are.
type flow struct {
	mu    sync.Mutex
	kinds map[flowKey]*Flow // guarded by mu
	all   int               // guarded by mu
	more  int               // guarded by mu: that are in none of kinds
}

type flowKey struct{ from, to, verdict, reason string }

// Flow is what went one way in half a second.
type Flow struct {
	From    string `json:"from"`
	To      string `json:"to"` // empty when no row allowed the messages
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
	Topic   string `json:"topic"` // of the last one
	N       int    `json:"n"`
	Bytes   int    `json:"bytes"`
}

// Frame is the data of a flow event.
type Frame struct {
	Messages int     `json:"messages"` // in all, per target
	More     int     `json:"more"`     // that are in none of the flows
	Flows    []*Flow `json:"flows"`
}

func newFlow() *flow { return &flow{kinds: map[flowKey]*Flow{}} }

// add takes up a message. It never waits.
func (f *flow) add(e client.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all++
	// Refusals are looked at as long as there is room: they are what a person
	// looks for, and rare beside the rest.
	if f.all > mostLooked && e.Verdict != "refused" {
		f.more++
		return
	}
	key := flowKey{e.From, e.To, e.Verdict, e.Reason}
	one := f.kinds[key]
	if one == nil {
		if len(f.kinds) >= mostFlows {
			f.more++
			return
		}
		one = &Flow{From: e.From, To: e.To, Verdict: e.Verdict, Reason: e.Reason}
		f.kinds[key] = one
	}
	one.N++
	one.Bytes += e.Bytes
	one.Topic = e.Topic
}

// frame returns the event of what came since the last one; nil: nothing.
func (f *flow) frame() []byte {
	f.mu.Lock()
	frame := Frame{Messages: f.all, More: f.more, Flows: make([]*Flow, 0, len(f.kinds))}
	for _, one := range f.kinds {
		frame.Flows = append(frame.Flows, one)
	}
	f.kinds, f.all, f.more = map[flowKey]*Flow{}, 0, 0
	f.mu.Unlock()
	if frame.Messages == 0 {
		return nil
	}
	slices.SortFunc(frame.Flows, func(a, b *Flow) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Topic, b.Topic))
	})
	return eventOf("flow", frame)
}

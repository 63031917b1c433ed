package client

import (
	"net/url"
	"slices"
)

// WatchFilter chooses live events. An empty part lets everything through; a list
// lets through what is one of it. From and To are names as events have them; the
// To of a message without target is "".
type WatchFilter struct {
	Topic   string // a topic filter
	From    []string
	To      []string
	Verdict []string
	Payload bool // events tell the payload, too
}

// Query is the filter as the control socket gets it.
func (f WatchFilter) Query() url.Values {
	q := url.Values{}
	if f.Topic != "" {
		q.Set("topic", f.Topic)
	}
	if f.Payload {
		q.Set("payload", "true")
	}
	for key, list := range map[string][]string{"from": f.From, "to": f.To, "verdict": f.Verdict} {
		if len(list) > 0 {
			q[key] = list
		}
	}
	return q
}

// ReadWatchFilter reads what Query has written.
func ReadWatchFilter(q url.Values) WatchFilter {
	return WatchFilter{Topic: q.Get("topic"), From: q["from"], To: q["to"], Verdict: q["verdict"], Payload: q.Get("payload") == "true"}
}

// Keeps tells whether the filter lets an event through, its topic aside.
func (f WatchFilter) Keeps(e Event) bool {
	return has(f.From, e.From) && has(f.To, e.To) && has(f.Verdict, e.Verdict)
}

func has(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }

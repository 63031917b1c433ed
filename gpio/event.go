package gpio

import (
	"encoding/json"
	"time"
)

// stamp is the time of an event, and how exactly it is known.
type stamp struct {
	// At is in RFC 3339, UTC, with microseconds, by the clock of the gateway.
	At string `json:"at"`
	// Clock is who took the time: `kernel`, when the edge came, or `reading`: the
	// gateway, when it looked at the line and found what no edge had told.
	Clock string `json:"clock"`
	// Simulated is true when there is no line at all.
	Simulated bool `json:"simulated,omitempty"`
}

func (c *contact) stamp(at time.Time, looked bool) stamp {
	return stamp{at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"), word(looked, "reading", "kernel"), c.simulated()}
}

// buttonEvent is the payload of a button.
type buttonEvent struct {
	Name    string `json:"name"`
	Pressed bool   `json:"pressed"`
	Event   string `json:"event"` // press, release, long or double
	// Held is how long it was held down, in seconds; of release and long.
	Held float64 `json:"held,omitempty"`
	stamp
}

// inputEvent is the payload of an input.
type inputEvent struct {
	Name string `json:"name"`
	On   bool   `json:"on"`
	// Event is the edge of the line, rising or falling; or start.
	Event string `json:"event"`
	stamp
}

// publish sends what the input has to say, if it has a topic.
func (c *contact) publish(event any) {
	if c.topic == "" {
		return
	}
	payload, err := json.Marshal(event)
	if err != nil {
		panic(err) // texts, numbers and booleans
	}
	c.bank.o.Publish(c.topic, payload, c.name)
}

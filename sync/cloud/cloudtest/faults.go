package cloudtest

import "time"

// Count says how often a fault strikes: 0 never, n the next n times, Always
// until it is set to 0.
type Count int

// Always is a Count without end.
const Always Count = -1

// take tells whether the fault strikes now, and counts it.
func (n *Count) take() bool {
	if *n > 0 {
		*n--
		return true
	}
	return *n < 0
}

// Faults is what goes wrong now. Change sets them; each acts at once, on
// connections that are there too. The one-shot ones are methods of Cloud: Cut,
// Disconnect, Revoke, PullPlug.
type Faults struct {
	// Refuse resets each new TCP connection.
	Refuse bool
	// ConnackCode refuses a CONNECT with this code of MQTT 5 (a 3.1.1 client
	// gets the nearest of its own), ConnackCount times.
	ConnackCode  byte
	ConnackCount Count
	// SessionLost makes the cloud forget the session at the next CONNECTs, as
	// when it expired: session present is 0.
	SessionLost Count

	// Blackhole swallows all bytes of all connections in both directions, and
	// answers no new one: no FIN and no RST tells the client. When it ends, the
	// connections of that time get an RST, as from a NAT that has forgotten.
	Blackhole bool
	// Stall holds the bytes back instead, and lets them go on when it ends, as
	// TCP does after a short interruption.
	Stall bool
	// Latency is added to each direction: half of a round trip.
	Latency time.Duration
	// Bandwidth is in bytes a second for each connection and direction; 0 is
	// without bound.
	Bandwidth int

	// PubackDelay is how late each PUBACK is, in order.
	PubackDelay time.Duration
	// PubackLost takes publishes in and never acknowledges them.
	PubackLost Count
	// PubackWithheld keeps the PUBACKs back until it is false again.
	PubackWithheld bool
	// PubackTwice sends PUBACKs twice.
	PubackTwice Count
	// PubackCode refuses a QoS 1 publish with this code (MQTT 5; 3.1.1 gets no
	// PUBACK), PubackCount times: 0x97 is AWS throttling.
	PubackCode  byte
	PubackCount Count
	// PublishLost loses a publish on its way in: not taken, not acknowledged.
	PublishLost Count
	// DisconnectAfter accepts this many more publishes and then disconnects the
	// client with DisconnectCode (MQTT 5; 3.1.1 is cut), once; 0 is off. The
	// last one is taken in and not acknowledged.
	DisconnectAfter int
	DisconnectCode  byte
	// Poison cuts the connection of a publish that matches.
	Poison []Poison

	// DeliverTwice sends a publish to a subscriber twice (with another packet
	// id, as AWS may).
	DeliverTwice Count
	// DeliverSwapped sends a publish to a subscriber after the next one.
	DeliverSwapped Count
	// DeliverLost does not send a publish to a subscriber.
	DeliverLost Count

	// ShadowCode rejects shadow requests with this code (409, 429, 500, 503,
	// ...), over MQTT and HTTPS, ShadowCount times.
	ShadowCode  int
	ShadowCount Count
	// ShadowLost loses shadow requests before they are applied; an HTTPS
	// client's connection is cut.
	ShadowLost Count
	// ShadowAnswerLost applies shadow requests and loses the answer (accepted
	// or rejected; delta and documents are still published).
	ShadowAnswerLost Count
	// ShadowDelay is how late the answer is; the request counts as in flight
	// until then.
	ShadowDelay time.Duration
	// ShadowReorder publishes documents, delta and accepted in this order
	// instead of accepted, delta, documents: AWS promises none.
	ShadowReorder bool

	// ClockOffset moves the cloud's clock, which stamps shadows and events.
	ClockOffset time.Duration
}

// Poison is a publish that kills its connection, as a bug in a cloud does. All
// that is given must match.
type Poison struct {
	Filter  string // topic filter; "" is every topic
	Payload string // a part of the payload; "" is every payload
}

// Change changes the faults: f gets the present ones and edits them.
func (c *Cloud) Change(f func(*Faults)) {
	c.mu.Lock()
	f(&c.faults)
	c.mu.Unlock()
	c.faultsChanged()
}

// Faults returns a copy of the present faults.
func (c *Cloud) Faults() Faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}

// Heal ends all faults.
func (c *Cloud) Heal() { c.Change(func(f *Faults) { *f = Faults{} }) }

// PullPlug is Blackhole, and PlugIn ends it.
func (c *Cloud) PullPlug() { c.Change(func(f *Faults) { f.Blackhole = true }) }

// PlugIn ends Blackhole.
func (c *Cloud) PlugIn() { c.Change(func(f *Faults) { f.Blackhole = false }) }

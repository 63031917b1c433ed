package cloudtest

import (
	"log/slog"
	"maps"
	"slices"
	"time"
)

// broker is the state of a Cloud. Its methods expect Cloud.mu to be held.
type broker struct {
	o      *Options
	log    *slog.Logger
	limits Limits
	faults Faults

	sessions map[string]*session // by client id
	connects map[string]*history // by client id
	retained map[string]*message // by topic
	shares   map[string]int      // turns of each shared subscription
	shadows  shadowStore
	policies map[string]Policy // by thing; "" is the default
	revoked  map[string]bool   // things

	received   []Received
	violations []Violation
	counts     Status // its counters only
	changed    chan struct{}
}

// history is what is remembered of a client id beyond its sessions.
type history struct {
	rate     bucket
	connects int
}

// session is what outlives a connection.
type session struct {
	id, thing string
	conn      *conn // nil while the client is away
	version   byte
	expiry    time.Duration // 0 ends with the connection
	end       *time.Timer   // of a session whose client is away
	filters   map[string]subscription

	stored  []*delivery // waited while the client was away
	live    []*delivery
	held    *delivery // by Faults.DeliverSwapped
	unacked map[uint16]*delivery
	sent    []*delivery // those in unacked, in order
	lastID  uint16
	drain   bucket

	will      *message
	willDelay time.Duration
	willTimer *time.Timer
}

// message is one application message.
type message struct {
	topic   string
	payload []byte
	qos     byte
	retain  bool
	props   *Properties
	expires time.Time // zero: never
	from    *session  // nil from the cloud itself
}

// delivery is a message on its way to one client.
type delivery struct {
	*message
	qos    byte
	retain bool
	since  time.Time
	id     uint16
}

func newBroker(o *Options, log *slog.Logger) *broker {
	return &broker{
		o: o, log: log, limits: o.Limits.filled(),
		sessions: map[string]*session{},
		connects: map[string]*history{},
		retained: map[string]*message{},
		shares:   map[string]int{},
		shadows:  newShadowStore(),
		policies: map[string]Policy{},
		revoked:  map[string]bool{},
	}
}

// now is the cloud's clock. Intervals are measured without it.
func (b *broker) now() time.Time { return time.Now().Add(b.faults.ClockOffset) }

// touch wakes those who wait for a change.
func (b *broker) touch() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// violate records a breach of a client and returns it as an error.
func (b *broker) violate(client, rule, detail string) error {
	if len(b.violations) < 10_000 {
		b.violations = append(b.violations, Violation{At: b.now(), Client: client, Rule: rule, Detail: detail})
	}
	b.log.Info("A client broke a limit", "client", client, "rule", rule, "detail", detail)
	b.touch()
	return &breach{rule: rule, detail: detail}
}

// record takes a publish into the record.
func (b *broker) record(r Received) {
	b.counts.Accepted++
	r.Order, r.At = b.counts.Accepted, b.now()
	if !b.o.Forget {
		b.received = append(b.received, r)
	}
	if b.o.OnReceive != nil {
		b.o.OnReceive(r)
	}
	b.touch()
}

// Status is the state of the cloud.
type Status struct {
	Accepted  int // publishes taken in
	Discarded int // publishes not taken in: rate, window, faults
	Refused   int // publishes answered with an error code
	Delivered int // publishes sent to clients
	Dropped   int // publishes to clients that were dropped: rate, expiry
	Shadows   int // that exist
	Retained  int
	Clients   []Client // sessions, by id
}

// Client is one session.
type Client struct {
	ID, Thing string
	Connected bool
	Version   byte // 4 or 5
	Address   string
	KeepAlive time.Duration // as the cloud keeps it
	Filters   []string
	Queued    int // messages that wait for it
	Unacked   int // sent to it and not acknowledged
	Connects  int // CONNECTs of this id accepted so far
}

// Status returns the state now.
func (c *Cloud) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.counts
	s.Shadows, s.Retained = len(c.shadows.documents), len(c.retained)
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		from := c.sessions[id]
		client := Client{
			ID: id, Thing: from.thing, Connected: from.conn != nil, Version: from.version,
			Filters:  slices.Sorted(maps.Keys(from.filters)),
			Queued:   len(from.stored) + len(from.live),
			Unacked:  len(from.unacked),
			Connects: c.connects[id].connects,
		}
		if from.conn != nil {
			client.KeepAlive, client.Address = from.conn.keepAlive, from.conn.net.RemoteAddr().String()
		}
		s.Clients = append(s.Clients, client)
	}
	return s
}

func (c *Cloud) connected(client string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[client]
	return s != nil && s.conn != nil
}

// faultsChanged makes a change of the faults felt everywhere.
func (c *Cloud) faultsChanged() {
	c.mu.Lock()
	f := c.faults
	for _, s := range c.sessions {
		if s.conn != nil {
			s.conn.nudge() // its PUBACKs may be withheld no more
		}
	}
	c.touch()
	c.mu.Unlock()
	c.weather.set(&f)
}

// Cut ends connections at once, with a FIN or, with reset, an RST; "" is all
// clients. It returns how many there were.
func (c *Cloud) Cut(client string, reset bool) int {
	return c.each(client, func(cn *conn) { cn.cut("CONNECTION_LOST", reset) })
}

// Disconnect ends connections in an orderly way: MQTT 5 gets a DISCONNECT with
// the code, 3.1.1 a close. "" is all clients. It returns how many there were.
func (c *Cloud) Disconnect(client string, code byte) int {
	return c.each(client, func(cn *conn) { cn.disconnect(code, "SERVER_INITIATED_DISCONNECT", "by the test") })
}

func (c *Cloud) each(client string, f func(*conn)) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.sessions {
		if s.conn != nil && (client == "" || client == id) {
			f(s.conn)
			n++
		}
	}
	return n
}

// ForgetSession ends a client's session, connected or not, as when it expired.
func (c *Cloud) ForgetSession(client string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[client]; s != nil {
		s.expiry = 0
		if s.conn != nil {
			s.conn.cut("SERVER_ERROR", false)
		} else {
			c.endSession(s)
		}
	}
}

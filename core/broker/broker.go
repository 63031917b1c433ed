package broker

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"greengate/core/message"
	"greengate/core/pki"
	"greengate/core/router"
	"greengate/core/sqlite"
)

// Identifier tells which thing a client certificate stands for.
type Identifier interface {
	// Identify returns the thing, or an error that says why there is none.
	Identify(peer []*x509.Certificate) (thing string, err error)
	// Used is told when a client has connected with a certificate.
	Used(thing string, cert *x509.Certificate)
}

// Options are what a broker is made of.
type Options struct {
	Config     Config
	Router     *router.Router
	Identities Identifier
	TLS        *tls.Config // asks every client for its certificate
	Log        *slog.Logger
	// Feeds tells whether a row of the table in force can ever send the thing a
	// message that the filter matches. It is asked for a SUBSCRIBE when the
	// group is strict; nil: never.
	Feeds func(thing, filter string) bool
	// DB keeps sessions and retained messages over a restart; nil: memory only.
	// It was opened with Migrations, and runs longer than the broker.
	DB *sqlite.DB
	// Handshakes bounds what clients cost before they are known; nil: no bound.
	Handshakes *pki.Handshakes
	// MaxConns bounds the connections of clients, which take a descriptor each; more
	// are closed as they come. At most half of them have not sent their CONNECT. 0: no
	// bound.
	MaxConns int
	// Memory is what the process may have, in bytes; 0: no limit. Then at most a quarter
	// of it waits for devices, an eighth of it is retained, and subscriptions take an eighth.
	Memory int64
	// Believed tells whether the clock of the machine can be right; nil: always.
	Believed func() bool
}

// Broker is the local MQTT broker.
type Broker struct {
	config     Config
	router     *router.Router
	identities Identifier
	tls        *tls.Config
	log        *slog.Logger
	feeds      func(thing, filter string) bool
	believed   func() bool // nil: always
	strict     atomic.Bool

	mochi    *mqtt.Server
	serial   atomic.Uint64 // of connections, for their names in mochi
	subs     subscriptions
	retained retained
	queued   atomic.Int64 // bytes that wait for all sessions, and what they have not acknowledged, as booked
	most     int64        // of them
	expiring atomic.Bool  // a message that waits for a session expires some time
	stopping atomic.Bool
	refusals refusals
	store    *store
	pace     pace

	listeners []net.Listener
	open      sync.WaitGroup // connections, until their end is through
	arrivals  arrivals
	shakes    *pki.Handshakes
	maxConns  int

	mu       sync.Mutex
	sessions map[string]*session // by thing
	conns    map[*conn]struct{}  // all, from the handshake on
	toldFull time.Time           // when the log last heard that there are maxConns
}

// New makes a broker, with the sessions and retained messages that a former
// process has left, and registers it as the target of all devices. It starts
// nothing. The table must be in force.
func New(o Options) (*Broker, error) {
	b := &Broker{
		config:     o.Config,
		router:     o.Router,
		identities: o.Identities,
		tls:        o.TLS,
		log:        o.Log.With("component", "broker"),
		feeds:      o.Feeds,
		shakes:     o.Handshakes,
		arrivals:   arrivals{max: pendingOf(o.MaxConns), of: map[string][]*conn{}},
		maxConns:   o.MaxConns,
		believed:   o.Believed,
		most:       share(maxAllQueued, o.Memory/4),
		subs:       subscriptions{most: int(share(maxAllFilterBytes, o.Memory/8))},
		sessions:   map[string]*session{},
		conns:      map[*conn]struct{}{},
	}
	b.strict.Store(o.Config.StrictSubscribe)
	limits := mqtt.NewDefaultServerCapabilities()
	limits.MaximumClientWritesPending = 0 // messages do not go through mochi
	limits.TopicAliasMaximum = 0          // aliases neither
	limits.ReceiveMaximum = receiveMax
	limits.MaximumInflight = 1
	b.mochi = mqtt.New(&mqtt.Options{
		Capabilities:             limits,
		ClientNetReadBufferSize:  64,
		ClientNetWriteBufferSize: 64,
		Logger:                   slog.New(slog.DiscardHandler), // it logs whole packets
	})
	if err := b.mochi.AddHook(&hook{b: b}, nil); err != nil {
		return nil, err
	}
	if b.store = newStore(o.DB, b.log); b.store != nil {
		b.store.port = b.router.Port(message.Endpoint{})
	}
	b.retained.most = int(share(maxRetainedBytes, o.Memory/8))
	if err := b.load(); err != nil {
		return nil, fmt.Errorf("read the sessions: %w", err)
	}
	b.router.Register(message.Device, b)
	return b, nil
}

// SetStrict switches strict_subscribe; subscriptions that exist stay.
func (b *Broker) SetStrict(on bool) { b.strict.Store(on) }

// claim makes c the connection of its thing's session: it cuts the one before
// [MQTT-3.1.4-3], and takes over or replaces the session [MQTT-3.1.2-4, -5].
func (b *Broker) claim(c *conn) {
	var leftWill func()
	b.mu.Lock()
	s := b.sessions[c.thing]
	if s != nil {
		s.mu.Lock()
		old, ends := s.conn, c.head.clean || !s.persistent()
		s.mu.Unlock()
		if old != nil {
			c.before = old.succeed()
			old.cut(sessionTakenOver)
		}
		if ends {
			s.finish(sessionOver)
			leftWill = b.overdue(s)
			s = nil
		}
	}
	c.head.present = s != nil
	if s == nil {
		s = &session{thing: c.thing, b: b, subs: map[string]*subscription{}}
		b.sessions[c.thing] = s
	}
	s.mu.Lock()
	s.conn = c
	s.live.Store(nil)
	s.expiry = c.head.expiry
	if s.expiry == 0 {
		s.lapse()
	}
	if s.end != nil {
		s.end.Stop()
		s.end = nil
	}
	if s.will != nil {
		s.will.timer.Stop()
		s.will = nil
	}
	s.mu.Unlock()
	c.sess = s
	b.mu.Unlock()
	if leftWill != nil {
		leftWill()
	}
	b.check(c) // a reload may have come between CONNECT and here
}

// check cuts a connection whose certificate counts no more. It may read a file, so no lock
// is held. Recheck finds every connection that has its session; who gets it later is
// checked after that, by what is in force then.
func (b *Broker) check(c *conn) {
	if thing, err := b.identities.Identify(c.peer); err != nil || thing != c.thing {
		c.cut(notAuthorized)
	}
}

// overdue returns what publishes the delayed will of a session that has ended;
// nil when there is none.
func (b *Broker) overdue(s *session) func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.will
	if w == nil {
		return nil
	}
	w.timer.Stop()
	s.will = nil
	return func() { b.publishWill(s.thing, w) }
}

// attach opens the message path of a connection whose CONNACK is out.
func (b *Broker) attach(c *conn) {
	c.port = b.router.Port(message.DeviceEndpoint(c.thing))
	c.attached = true
	c.lastRead = time.Now()
	_ = c.nc.SetWriteDeadline(time.Time{})
	c.rearm(true)
	s := c.sess
	s.mu.Lock()
	if s.conn == c && !s.ended {
		s.since = time.Now()
		s.live.Store(c)
		s.resume(c, c.port.Delivery())
	}
	s.mu.Unlock()
	c.port.Flush()
	b.log.Info("device connected", "thing", c.thing, "addr", c.RemoteAddr().String(), "version", c.versionName(), "resumed", c.head.present)
}

func (c *conn) versionName() string {
	if c.v5 {
		return "MQTT 5"
	}
	return "MQTT 3.1.1"
}

// detach is the end of a connection that had a session: the session stays as
// long as the client asked for, and the will goes out.
func (b *Broker) detach(c *conn) {
	s := c.sess
	b.mu.Lock()
	s.mu.Lock()
	mine := s.conn == c && !s.ended
	over := false
	if mine {
		s.conn = nil
		s.live.Store(nil)
		s.book(s.bytes)
		s.since = time.Now()
		over = !s.persistent()
		if !over {
			b.endLater(s)
		}
	}
	s.mu.Unlock()
	if over {
		s.finish(sessionOver)
	}
	will := b.leave(c, mine)
	b.mu.Unlock()
	if will != nil {
		will()
	}
}

// endLater has an absent session end when its time is over. The caller holds
// s.mu.
func (b *Broker) endLater(s *session) {
	if s.expiry != forever {
		s.end = time.AfterFunc(time.Duration(s.expiry)*time.Second, func() { b.expire(s) })
	}
}

// expire ends a session whose client did not come back in time.
func (b *Broker) expire(s *session) {
	b.mu.Lock()
	s.mu.Lock()
	away := s.conn == nil
	s.mu.Unlock()
	if !away {
		b.mu.Unlock()
		return
	}
	s.finish(sessionOver)
	will := b.overdue(s)
	b.mu.Unlock()
	if will != nil {
		will()
	}
}

// subscribe enters a subscription and tells whether it replaced one, or the
// code that refuses it.
func (b *Broker) subscribe(c *conn, sub *subscription) (existed bool, refused code) {
	switch {
	case strings.HasPrefix(sub.filter, "$share/") || sub.filter == "$share":
		return false, sharedNotSupported
	case message.CheckFilter(sub.filter) != nil:
		return false, filterInvalid
	case b.strict.Load() && b.feeds != nil && !b.feeds(c.thing, sub.filter):
		return false, notAuthorized
	}
	s := c.sess
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false, notAuthorized
	}
	existed, ok := s.enter(sub)
	if !ok {
		return false, quotaExceeded
	}
	b.router.SubscriptionsChanged()
	return existed, success
}

// unsubscribe takes out the subscription with a filter, and returns it; nil when there is
// none.
func (b *Broker) unsubscribe(c *conn, filter []byte) *subscription {
	s := c.sess
	s.mu.Lock()
	defer s.mu.Unlock()
	sub := s.subs[string(filter)]
	if sub != nil {
		s.leave(sub)
		b.router.SubscriptionsChanged()
	}
	return sub
}

// retain keeps a message that a row allows, on disk before its publisher is
// acknowledged. Reserved topics have no retained messages, as in AWS IoT.
func (b *Broker) retain(d *router.Delivery) {
	m := d.Message
	if strings.HasPrefix(m.Topic, "$") {
		b.router.Note(router.Dropped, "retained-reserved")
		return
	}
	var done func()
	if b.store != nil {
		done = d.Hold().Done
	}
	if !b.retained.keep(m, time.Now(), done) {
		b.router.Note(router.Dropped, retainedFull)
		b.log.Warn("retained message not kept: the store is full", "thing", m.Source.Name, "topic", clip(m.Topic))
	}
}

// Recheck applies a reload to what exists: connections whose certificate
// counts no more are cut, sessions of things that left the group end, and what
// waits under rows that are gone is dropped. member tells who is in the group.
func (b *Broker) Recheck(member func(thing string) bool) {
	var in []*conn // the others are identified when they send their CONNECT
	b.mu.Lock()
	for c := range b.conns {
		if c.sess != nil {
			in = append(in, c)
		}
	}
	b.mu.Unlock()
	for _, c := range in {
		b.check(c)
	}
	for _, will := range b.recheck(member) {
		will()
	}
}

// recheck returns what publishes the delayed wills of sessions that it has ended: the
// session is over, and so is the delay [MQTT-3.1.2-8]. The table in force judges them.
func (b *Broker) recheck(member func(thing string) bool) (wills []func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		if !member(s.thing) {
			s.finish("device-removed")
			if will := b.overdue(s); will != nil {
				wills = append(wills, will)
			}
			continue
		}
		s.rejudge()
	}
	return wills
}

// Device is the state of one thing that has a session.
type Device struct {
	Thing     string
	Connected bool
	Since     time.Time // of the connection or its end
	Addr      string    // of the client, while connected
	Version   string    // MQTT 3.1.1 or MQTT 5
	Waiting   int       // messages queued or unacknowledged
}

// Devices returns the things that have a session, in no order.
func (b *Broker) Devices() []Device {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Device, 0, len(b.sessions))
	for _, s := range b.sessions {
		s.mu.Lock()
		d := Device{Thing: s.thing, Since: s.since, Waiting: s.queue.len() + s.window.unanswered()}
		if c := s.live.Load(); c != nil {
			d.Connected, d.Addr, d.Version = true, c.RemoteAddr().String(), c.versionName()
		}
		s.mu.Unlock()
		all = append(all, d)
	}
	return all
}

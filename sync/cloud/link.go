package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Link is the connection to the cloud, up or down. It is safe for concurrent
// use.
type Link struct {
	o       Options
	dialect dialect
	epoch   time.Time
	shaper  *shaper
	shadows *shadows
	data    *http.Transport // of the HTTPS data plane
	counts  counters

	conn          atomic.Pointer[conn] // nil while not connected
	maximumPacket atomic.Int64         // that the cloud takes; 0: not told
	hears         atomic.Bool          // answers to shadow requests are subscribed to
	turn          chan struct{}        // held by the Send that is next to leave
	refresh       chan struct{}        // level-triggered
	redeliver     chan struct{}        // the same

	// Run's own.
	subscribed map[string]byte // what the session in the cloud has, with the QoS asked for
	suspects   suspects
	clean      bool      // forget that session at the next connection
	connectAt  time.Time // of the last CONNECT

	mu      sync.Mutex
	status  Status
	trouble trouble
	changed chan struct{}
}

// New checks the options. It connects nothing and reads no file.
func New(o Options) (*Link, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("set up the connection to the cloud: %w", err)
	}
	l := &Link{
		o:          o,
		dialect:    newDialect(o.Version),
		epoch:      time.Now(),
		shaper:     newShaper(o.Rate),
		turn:       make(chan struct{}, 1),
		refresh:    make(chan struct{}, 1),
		redeliver:  make(chan struct{}, 1),
		subscribed: make(map[string]byte),
		status:     Status{Since: time.Now(), KeepAlive: o.KeepAlive},
		changed:    make(chan struct{}),
	}
	l.shadows = newShadows(o.Limits.ShadowRequests, o.Limits.ShadowRate, &l.counts.shadows)
	l.data = l.newData()
	return l, nil
}

// now is the time since the link was made, by the clock that nobody sets.
func (l *Link) now() int64 { return int64(time.Since(l.epoch)) }

// maximumIn is the largest packet that we take: a payload, and the longest topic
// and properties that it may reasonably have.
func (l *Link) maximumIn() int { return l.o.Limits.Payload + 64<<10 }

// Run connects, and connects again, until ctx ends; then it waits a second for
// the PUBACKs on their way, takes its leave and returns nil. It is called once.
func (l *Link) Run(ctx context.Context) error {
	defer l.data.CloseIdleConnections()
	again := retry{timing: l.o.Timing}
	for {
		connected, err := l.attempt(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := again.after(err, connected)
		wait = max(wait, time.Until(l.connectAt.Add(l.o.Limits.ConnectEvery)))
		l.failed(err, again.takenOver, wait)
		if !l.wait(ctx, wait) {
			return nil
		}
	}
}

// wait waits for the next attempt, less long when Refresh asks; it reports
// false when ctx ended.
func (l *Link) wait(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.refresh:
		l.suspects = suspects{}
		return sleep(time.Until(l.connectAt.Add(l.o.Limits.ConnectEvery)), ctx.Done())
	case <-ctx.Done():
		return false
	}
}

// attempt makes a connection and stays with it to its end. It returns how long
// it was of use, and why it ended or was never made.
func (l *Link) attempt(ctx context.Context) (connected time.Duration, err error) {
	c, err := l.connect(ctx)
	if err != nil {
		return 0, err
	}
	return l.use(ctx, c)
}

// use stays with a connection that the cloud has accepted to its end. It returns how
// long it was of use, and why it ended.
func (l *Link) use(ctx context.Context, c *conn) (connected time.Duration, err error) {
	l.clean = false
	if !c.server.session {
		clear(l.subscribed)
	}
	l.maximumPacket.Store(int64(c.server.maximumPacket))
	c.start()
	if err = l.subscribe(ctx, c, true); err != nil {
		c.leave(0, err)
		<-c.dead
	} else {
		start := time.Now()
		l.up(c)
		err = l.stay(ctx, c)
		connected = time.Since(start)
		l.down()
	}
	c.wg.Wait()
	c.flight.end(&Lost{c.cause})
	return connected, err
}

// stay returns when the connection has ended, with the reason, or ends it with
// ctx.
func (l *Link) stay(ctx context.Context, c *conn) error {
	var again <-chan time.Time
	for {
		select {
		case <-c.dead:
			return c.cause
		case <-ctx.Done():
			c.close(l.o.Timing.Linger)
			return ctx.Err()
		case <-l.redeliver:
			if again == nil {
				l.o.Log.Warn("A message of the cloud is not safe here; it will be asked for again", "after", l.o.Timing.Redeliver)
				again = time.After(l.o.Timing.Redeliver)
			}
		case <-again:
			c.leave(0, errRedeliver)
			<-c.dead
			return c.cause
		case <-l.refresh:
			l.suspects = suspects{}
			if err := l.subscribe(ctx, c, false); err != nil {
				c.leave(0, err)
				<-c.dead
				return err
			}
		}
	}
}

// connect goes all the way from the files to the CONNACK.
func (l *Link) connect(ctx context.Context) (*conn, error) {
	config, err := l.tlsConfig(ctx)
	if err != nil {
		return nil, err
	}
	tls, raw, err := l.dial(ctx, l.o.Port, config)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	l.connectAt = time.Now()
	clean := l.clean || l.o.Limits.SessionExpiry < 0
	c, err := l.open(tls, raw, clean)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = raw.Close()
		return nil, l.explain(err)
	}
	return c, nil
}

// Refresh has the link ask Options.Subscriptions again and tell the cloud what
// changed. A link that waits for its next attempt makes it now: a reload may have
// put right what was wrong.
func (l *Link) Refresh() {
	select {
	case l.refresh <- struct{}{}:
	default:
	}
}

// Redeliver has the cloud send again what it has no PUBACK for: a message that could not
// be made safe here. MQTT has no other way for that than a new connection, which is made
// after a while: what is wrong here will hardly be over at once, and until then all else
// goes on. PUBACKs leave in order, so what came after such a message comes again too, and
// the cloud waits when it has its receive maximum out.
func (l *Link) Redeliver() {
	select {
	case l.redeliver <- struct{}{}:
	default:
	}
}

// Connected reports whether Send would be heard.
func (l *Link) Connected() bool { return l.conn.Load() != nil }

// Changed returns a channel that is closed at the next change of Connected. Take
// it before looking, then wait: no change is missed.
func (l *Link) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Window is how many messages may be without PUBACK: 100, or the receive maximum
// of the connection if that is less.
func (l *Link) Window() int {
	if c := l.conn.Load(); c != nil {
		return c.flight.limit
	}
	return l.o.Limits.Unacked
}

func (l *Link) up(c *conn) {
	l.o.Log.Info("Connected to the cloud", "endpoint", l.o.Endpoint, "session", c.server.session)
	l.counts.connections.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.Store(c)
	l.status = Status{
		Connected: true, Since: time.Now(), Session: c.server.session, LastError: l.status.LastError,
		KeepAlive: c.keepAlive, Window: c.flight.limit, MaximumPacket: c.server.maximumPacket,
	}
	l.trouble.attempt = ""
	l.change()
}

// down is the end of up.
func (l *Link) down() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.Store(nil)
	l.status = Status{Since: time.Now(), LastError: l.status.LastError, KeepAlive: l.o.KeepAlive}
	l.change()
}

// change wakes all who wait for Changed. The caller has l.mu.
func (l *Link) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// failed takes note of an attempt that failed or a connection that ended.
func (l *Link) failed(err error, takenOver bool, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := err.Error()
	// The same failure every 2 minutes for 3 weeks is told once.
	if text != l.trouble.attempt {
		l.o.Log.Warn("Not connected to the cloud", "endpoint", l.o.Endpoint, "err", text)
	}
	l.status.Attempts++
	l.status.LastError = text
	l.status.NextAttempt = time.Now().Add(wait)
	l.trouble.attempt = text
	if takenOver {
		l.trouble.takenOver = time.Now()
	}
	if errors.Is(err, errLeftovers) {
		l.clean = true
	}
}

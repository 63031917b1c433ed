package main

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"greengate/configs"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/core/sqlite"
	"greengate/subscriptions"
	"greengate/sync/cloud"
	"greengate/sync/shadows"
	"greengate/sync/telemetry"
)

// uplink is the way to the cloud and back: the connection, and the spool in
// which what goes up waits. It is the target of all rows to `cloud`.
type uplink struct {
	g     *gateway
	full  string // what a row does that says nothing of a full spool
	db    *sqlite.Kept
	spool *telemetry.Spool
	link  *cloud.Link
	sync  *shadows.Reconciler
	port  *router.Port // of what comes down; the goroutine that reads has it
	ends  atomic.Bool  // nothing that comes down is taken any more

	mu    sync.Mutex
	cells map[string]*router.Cell // that count what waits in the spool, by the key of the row
}

// diskReserve is how much of the file system the spool leaves to others, in bytes.
const diskReserve = 64 << 20

// openUplink opens the spool and makes the connection, when the file has a
// cloud section.
func (g *gateway) openUplink(c *configs.Config) (err error) {
	if c.Cloud == nil {
		return g.openLeft(c)
	}
	u := &uplink{g: g, full: c.Cloud.Spool.WhenFull, cells: map[string]*router.Cell{}, port: g.router.Port(message.Endpoint{Kind: message.Cloud})}
	g.uplink = u
	u.db, err = g.openStore(c, "spool", "spool.db",
		sqlite.Options{Migrations: telemetry.Migrations(), Queue: 4096, Readers: 3, MaxWAL: telemetry.MaxWAL(c.Cloud.Spool.MaxSize)}, sqlite.Keep{Mend: telemetry.Mend})
	if err != nil {
		return err
	}
	if u.link, err = cloud.New(u.linkOptions(c)); err != nil {
		return inputError{err}
	}
	u.spool, err = telemetry.New(telemetry.Options{
		DB: u.db.DB, Link: spoolLink{u.link}, MaxSize: c.Cloud.Spool.MaxSize, Reserve: diskReserve, Free: telemetry.FreeBytes(c.Data),
		Settled: u.settled, Requeued: u.requeued, Rate: float64(c.Cloud.Rate.Messages), Synced: telemetry.KernelSync, Log: g.log,
		Stands: u.stands, Encrypt: c.Cloud.Spool.Encrypt, Decrypt: c.Cloud.Spool.Decrypt,
	})
	if err != nil {
		return err
	}
	if text := u.spool.Unreadable(); text != "" {
		g.log.Error(c.FaultAt("cloud.spool", text, "").Error(), "component", "spool")
	}
	for key, n := range u.spool.Content() {
		u.cells[key] = g.router.RestoreRow(key, n)
	}
	g.rechecks = append(g.rechecks, u.spool.Recheck)
	g.router.Register(message.Cloud, u)
	return u.openSync()
}

func (u *uplink) linkOptions(c *configs.Config) cloud.Options {
	version := cloud.MQTT5
	if c.Cloud.MQTT == "3.1.1" {
		version = cloud.MQTT311
	}
	return cloud.Options{
		Endpoint: c.Cloud.Endpoint, Port: c.Cloud.Port, Core: c.Core,
		Certificate: c.Cloud.Certificate, Key: c.Cloud.Key, CA: c.Cloud.CA, Signer: coreSigner(c),
		Version: version, Proxy: c.Cloud.Proxy, KeepAlive: c.Cloud.KeepAlive,
		Rate:          cloud.Rate{Messages: c.Cloud.Rate.Messages, Bytes: c.Cloud.Rate.Bytes},
		Subscriptions: func() []cloud.Subscription { return u.g.current().filters },
		Receive:       u.receive,
		Clock: func() cloud.Clock {
			now, floor, plausible := u.g.authority.Time()
			return cloud.Clock{Now: now, Floor: floor, Believed: plausible}
		},
		Log: u.g.log,
	}
}

// Run takes what comes from the cloud until ctx ends. It ends before those to whom it
// goes: what comes then stays with the cloud, without its acknowledgement.
func (u *uplink) Run(ctx context.Context) error {
	<-ctx.Done()
	u.ends.Store(true)
	return nil
}

// receive sends a message of the cloud through the gate. It is acknowledged to
// the cloud when it is safe here, and sent again by it when it is not.
func (u *uplink) receive(p *cloud.Publish, ack func()) {
	if u.ends.Load() {
		return
	}
	if u.toSync(p) {
		ack()
		return
	}
	if p.Properties.UserBytes() > message.MaxUserProperties {
		u.g.router.Note(router.Refused, "user-properties")
		ack() // it would be the same another time
		return
	}
	way, err := u.port.Route([]byte(p.Topic), message.CheckTopic)
	if err != nil {
		u.g.router.Note(router.Refused, "cloud-topic")
		ack()
		return
	}
	m := &message.Message{Topic: way.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Properties: p.Properties}
	if p.Expiry > 0 {
		m.Expires = time.Now().Add(p.Expiry)
	}
	receipt := u.port.Publish(m, way)
	u.port.Flush()
	if receipt == nil {
		ack()
		return
	}
	receipt.Then(func() {
		if receipt.Failed() {
			u.link.Redeliver()
			return
		}
		ack()
	})
}

// road is how the messages of one route wait for the cloud. It stands in the
// handle of the hop, so that it is made once for each route.
type road struct {
	route telemetry.Route
	cell  *router.Cell
}

// The reasons for what the spool does not take.
const (
	behind router.Reason = "spool-behind" // the disk is too slow for it
	noKey  router.Reason = "spool-no-key" // the key to encrypt it with is not there
)

// Deliver spools a message. Its publish is acknowledged when it is on disk.
func (u *uplink) Deliver(d *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	if u.spool.Lacking() { // as without a cloud: to wait would hold up what devices say here
		return router.Refused, noKey
	}
	generation := u.g.router.Generation()
	way, ok := h.Handle.(*road)
	if !ok || h.Table != generation {
		if way = u.road(d.Source, d.Topic); way == nil {
			return router.Refused, router.NoRow
		}
		if h.Table == generation {
			h.Handle = way
		}
	}
	receipt := d.Hold()
	way.cell.Queue()
	err := u.spool.Put(d.Message, way.route, func(err error) {
		// A database that has closed took nothing: the publish stays without
		// its acknowledgement, and its client sends it again.
		if err == nil {
			receipt.Done()
		}
	})
	if err != nil {
		way.cell.Settle(router.Dropped)
		u.g.router.Note(router.Dropped, behind)
		receipt.Fail() // its client is told, and sends it again
	}
	if u.g.router.Generation() != generation {
		u.spool.Recheck() // it may have come behind that of the reload
	}
	return router.Queued, ""
}

// stands tells whether a message that waits may still go up.
func (u *uplink) stands(source, topic string) bool {
	return u.g.stands(source, topic, message.Endpoint{Kind: message.Cloud})
}

// road asks the table in force how a message waits; nil: no row allows it.
func (u *uplink) road(from message.Endpoint, topic string) *road {
	table := u.g.current().table
	m := table.Lookup(from, topic)
	if m == nil {
		return nil
	}
	row, ok := m.Allows(message.Endpoint{Kind: message.Cloud})
	if !ok {
		return nil
	}
	key := table.Key(row)
	u.mu.Lock()
	defer u.mu.Unlock()
	cell := u.cells[key]
	if cell == nil {
		cell = u.g.router.RestoreRow(key, 0)
		u.cells[key] = cell
	}
	return &road{route: u.route(key, table.Spooling(row)), cell: cell}
}

// route is the way of a row in the words of the spool. Its words are checked
// with the group file.
func (u *uplink) route(key string, s subscriptions.Spooling) telemetry.Route {
	priority, _ := telemetry.ParsePriority(s.Priority)
	whenFull, _ := telemetry.ParseWhenFull(cmp.Or(s.WhenFull, u.full))
	return telemetry.Route{
		Key: key, Priority: priority, TTL: s.TTL, WhenFull: whenFull, Keep: s.Keep,
		LiveShare: float64(s.LiveShare) / 100, Overtake: s.Overtake,
		Batch: telemetry.Batch{MaxSize: int(s.Batch.MaxSize), MaxAge: s.Batch.MaxAge},
	}
}

// requeued enters in the ledger what was put back from quarantine: accepted anew.
func (u *uplink) requeued(route string, n int) {
	u.mu.Lock()
	cell := u.cells[route] // of the road by which they go
	u.mu.Unlock()
	for range n {
		cell.Queue()
	}
}

// settled enters in the ledger what became of spooled messages.
func (u *uplink) settled(s telemetry.Settlement) {
	u.mu.Lock()
	cell := u.cells[s.Route]
	u.mu.Unlock()
	if cell == nil {
		return
	}
	verdict := router.Dropped
	switch s.Verdict {
	case telemetry.Sent:
		verdict = router.Delivered
	case telemetry.Expired:
		verdict = router.Expired
	}
	u.g.router.SettleMany(cell, verdict, router.Reason(s.Reason), s.N)
}

// spoolLink is the connection as the spool asks it.
type spoolLink struct{ link *cloud.Link }

func (l spoolLink) Connected() bool          { return l.link.Connected() }
func (l spoolLink) Changed() <-chan struct{} { return l.link.Changed() }
func (l spoolLink) Check(topic string, payload int) error {
	return l.link.Check(topic, payload)
}

func (l spoolLink) Send(ctx context.Context, p *telemetry.Publish, done func(error)) error {
	err := l.link.Send(ctx, &cloud.Publish{
		Topic: p.Topic, Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Expiry: p.Expiry, Properties: p.Properties,
	}, func(err error) { done(spoolError(err)) })
	return spoolError(err)
}

// spoolError says in the words of the spool what became of a message.
func spoolError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cloud.ErrOffline):
		return telemetry.ErrOffline
	case errors.Is(err, cloud.ErrLost):
		return telemetry.ErrLost
	case neverTaken(err):
		return &telemetry.Never{Err: err}
	}
	return err
}

// neverTaken tells whether the cloud would not take the same message another time.
func neverTaken(err error) bool {
	var refused *cloud.Refused
	var large *cloud.TooLarge
	var topic *cloud.BadTopic
	return errors.As(err, &refused) && refused.Permanent() || errors.As(err, &large) || errors.As(err, &topic)
}

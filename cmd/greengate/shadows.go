package main

import (
	"sync"

	"greengate/configs"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/core/sqlite"
	"greengate/localshadow"
)

// shadowCopy bounds the second copy of the shadows, in bytes: all of them have one, since
// there is nowhere else to get them from.
const shadowCopy = 192 << 20

// openShadows opens the store of the shadows and makes their service the target
// of all rows to `shadow`.
func (g *gateway) openShadows(c *configs.Config) (err error) {
	g.shadowDB, err = g.openStore(c, "shadow", "shadows.db", sqlite.Options{
		Migrations: localshadow.Migrations(), PageSize: smallPages, Queue: 2 * localshadow.DefaultBounds().Pending,
	}, sqlite.Keep{MaxCopy: shadowCopy, Newer: localshadow.NewerColumn(), Mend: localshadow.Mend, MendCopy: localshadow.MendCopy})
	if err != nil {
		return err
	}
	out := newDoor(g.router, message.Endpoint{Kind: message.Shadow})
	g.shadows, err = localshadow.New(localshadow.Options{
		DB:      g.shadowDB.DB,
		Publish: func(topic string, payload []byte) { out.put(topic, func() []byte { return payload }, 1) },
		Offer:   func(topic string, payload func() []byte) { out.put(topic, payload, 1) },
		Flush:   out.flush,
		Known:   func(thing string) bool { return !g.current().shadowless[thing] },
		Log:     g.log,
	})
	if err != nil {
		return err
	}
	g.router.Register(message.Shadow, shadowTarget{g.shadows, g.router, g.identities.source})
	return nil
}

// shadowless are the devices of the file that have no shadow at all.
func shadowless(c *configs.Config) map[string]bool {
	none := map[string]bool{}
	for _, d := range c.Devices {
		if d.Shadow == "none" {
			none[d.Thing] = true
		}
	}
	return none
}

// Reasons for which the shadow service does not take a message.
const (
	noRequest  router.Reason = "no-shadow-request" // a topic that is none of its own
	busy       router.Reason = "shadow-busy"       // too many requests wait; the client got a 429
	storeFault router.Reason = "shadow-store"      // the disk failed; the client got a 500
	noWill     router.Reason = "shadow-will"       // a will: AWS's shadow service ignores them, too
)

// shadowTarget hands messages for the shadow service to it. It is durable: the
// publish is acknowledged once what it changes is on disk.
type shadowTarget struct {
	shadows *localshadow.Service
	router  *router.Router
	source  func(message.Endpoint) localshadow.Source
}

func (t shadowTarget) Deliver(d *router.Delivery, h *router.Hop) (router.Verdict, router.Reason) {
	if !localshadow.IsRequest(d.Topic) {
		return router.Refused, noRequest
	}
	if d.Will {
		return router.Refused, noWill
	}
	m, cell, to := d.Message.Keep(), h.Cell, h.To
	receipt := d.Hold()
	cell.Queue()
	err := t.shadows.Deliver(m.Topic, m.Payload, t.source(m.Source), func(err error) {
		verdict, why := router.Delivered, router.Reason("")
		if err != nil {
			verdict, why = router.Dropped, storeFault
		}
		t.router.Settle(cell, verdict, why, m, to)
		receipt.Done()
	})
	if err != nil {
		t.router.Settle(cell, router.Dropped, busy, m, to)
		receipt.Done()
	}
	return router.Queued, ""
}

// door is a Port for a source whose messages come from several goroutines.
type door struct {
	mu   sync.Mutex
	port *router.Port
}

func newDoor(r *router.Router, from message.Endpoint) *door { return &door{port: r.Port(from)} }

// publish sends one message through the gate. The payload may be kept.
func (d *door) publish(topic string, payload []byte, qos byte) {
	d.put(topic, func() []byte { return payload }, qos)
	d.flush()
}

// put is publish of one of several messages: they leave with flush. payload is called if
// anybody is there for the message.
func (d *door) put(topic string, payload func() []byte, qos byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	way, err := d.port.Route([]byte(topic), message.CheckTopic)
	if err != nil {
		return // our own topics are checked with the group file
	}
	m := &message.Message{Topic: way.Topic, QoS: qos}
	if d.port.Heard(way) {
		m.Payload = payload()
	}
	d.port.Publish(m, way)
}

func (d *door) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.port.Flush()
}

package broker

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"greengate/core/message"
)

// will is the message that a client leaves for the case that its connection
// ends without a DISCONNECT [MQTT 3.1.2.5].
type will struct {
	msg    message.Message
	expiry uint32 // seconds from its publication; 0: never
	delay  time.Duration
	timer  *time.Timer
}

// takeWill reads the will of a CONNECT.
func (h *connect) takeWill(pk packets.Packet) {
	in, p := &pk.Connect, &pk.Connect.WillProperties
	if err := message.CheckTopic(in.WillTopic); err != nil {
		h.refuse(topicNameInvalid, "will-topic", "will: "+err.Error())
		return
	}
	w := &will{
		msg:    message.Message{Topic: in.WillTopic, Payload: in.WillPayload, QoS: in.WillQos, Retain: in.WillRetain, Will: true},
		expiry: p.MessageExpiryInterval,
	}
	if pk.ProtocolVersion == 5 {
		// The will goes out when its delay has passed or the session ends,
		// whichever is first [MQTT-3.1.2-8]. The end is not known yet: a
		// DISCONNECT may move it.
		w.delay = time.Duration(p.WillDelayInterval) * time.Second
		w.msg.Properties = willProperties(p)
	}
	h.will = w
}

// willProperties takes over what a publish would carry; nil when there is
// nothing.
func willProperties(p *packets.Properties) *message.Properties {
	if !p.PayloadFormatFlag && p.ContentType == "" && p.ResponseTopic == "" && p.CorrelationData == nil && len(p.User) == 0 {
		return nil
	}
	m := &message.Properties{
		PayloadIsUTF8:   p.PayloadFormatFlag && p.PayloadFormat == 1,
		ContentType:     p.ContentType,
		ResponseTopic:   p.ResponseTopic,
		CorrelationData: p.CorrelationData,
	}
	for _, u := range p.User {
		m.User = append(m.User, message.UserProperty{Name: u.Key, Value: u.Val})
	}
	return m
}

// leave decides what becomes of the will of a connection that has ended; mine
// tells whether it had its session to the end. The caller holds b.mu. The
// function that it returns publishes the will; it must be called without the
// lock. It is nil when there is nothing to do now.
func (b *Broker) leave(c *conn, mine bool) (publish func()) {
	w := c.head.will
	if w == nil || c.normal {
		return nil
	}
	s := c.sess
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.delay == 0:
		return func() { b.publishWill(c.thing, w) }
	case !mine && s.conn != c:
		return nil // the client was back before the delay was over [MQTT-3.1.3-9], whatever came then
	case s.ended:
		return func() { b.publishWill(c.thing, w) }
	}
	s.will = w
	w.timer = time.AfterFunc(w.delay, func() {
		if s.takeWill(w) {
			b.publishWill(c.thing, w)
		}
	})
	return nil
}

// takeWill takes a delayed will off the session; false when it is gone.
func (s *session) takeWill(w *will) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.will != w {
		return false
	}
	s.will = nil
	return true
}

// publishWill sends a will through the gate, as its client would.
func (b *Broker) publishWill(thing string, w *will) {
	port := b.router.Port(message.DeviceEndpoint(thing))
	way, err := port.Route([]byte(w.msg.Topic), message.CheckTopic)
	if err != nil {
		return // it was checked at CONNECT
	}
	m := w.msg
	m.Source = message.DeviceEndpoint(thing)
	if w.expiry > 0 {
		m.Expires = time.Now().Add(time.Duration(w.expiry) * time.Second)
	}
	b.publish(port, &m, way)
	port.Flush()
}

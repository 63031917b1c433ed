package broker

import (
	"greengate/core/message"
	"greengate/core/router"
)

// handle takes one packet of a connected client.
func (c *conn) handle(packet []byte) error {
	kind := packet[0] >> 4
	body := bodyOf(packet)
	flags := packet[0] & 0x0F
	switch kind {
	case typePublish:
		return c.publish(packet[0], body)
	case typePuback, typePubrec, typePubcomp:
		if flags != 0 {
			return malformed
		}
		return c.acknowledged(kind, body)
	case typePubrel:
		if flags != 2 {
			return malformed // [MQTT-3.6.1-1]
		}
		return c.acknowledged(kind, body)
	case typeSubscribe, typeUnsubscribe:
		if flags != 2 {
			return malformed // [MQTT-3.8.1-1, 3.10.1-1]
		}
		if err := checkFilters(kind, body, c.v5); err != nil {
			return err
		}
		if kind == typeSubscribe {
			return c.subscribes(body)
		}
		return c.unsubscribes(body)
	case typePingreq:
		if flags != 0 || len(body) != 0 {
			return malformed
		}
		c.reply(typePingresp<<4, 0)
		return nil
	case typeDisconnect:
		if flags != 0 {
			return malformed // [MQTT-3.14.1-1]
		}
		return c.goodbye(body)
	case typeAuth:
		if flags != 0 {
			return malformed // [MQTT-3.15.1-1]
		}
	case 0:
		return malformed
	}
	return protocolError // a second CONNECT, AUTH, or a packet of servers
}

// bodyOf is a packet without its fixed header.
func bodyOf(packet []byte) []byte {
	body := packet[1:]
	for body[0] >= 0x80 {
		body = body[1:]
	}
	return body[1:]
}

// goodbye takes a DISCONNECT. Its error is errHungUp; one that is wrong ends the
// connection as a fault does, so that the will goes out.
func (c *conn) goodbye(body []byte) error {
	expiry, asks, err := checkDisconnect(body, c.v5)
	if err != nil {
		return err
	}
	if asks {
		if err := c.sess.prolong(c, expiry); err != nil {
			return err
		}
		c.b.remember(c.sess)
	}
	c.normal = len(body) == 0 || body[0] == byte(success) // [MQTT-3.14.4-3]
	return errHungUp
}

// publish routes a PUBLISH.
func (c *conn) publish(first byte, body []byte) error {
	p := &c.message
	if err := decodePublish(p, first, body, c.v5); err != nil {
		return err
	}
	if err := c.resolve(p); err != nil {
		return err
	}
	if p.user > message.MaxUserProperties {
		c.tooMuch(p)
		return nil
	}
	way, err := c.port.Route(p.topic, message.CheckTopic)
	if err != nil {
		c.b.log.Debug("publish refused", "thing", c.thing, "err", err)
		return topicNameInvalid
	}
	m := &c.msg
	*m = message.Message{Topic: way.Topic, Payload: p.payload, QoS: p.qos, Retain: p.retain, Expires: p.expires, Properties: p.props}
	m.Source = message.DeviceEndpoint(c.thing)
	if p.qos == 2 {
		return c.receive(p, m, way)
	}
	receipt := c.b.publish(c.port, m, way)
	if p.qos > 0 {
		c.acknowledge(p, way.Allowed, receipt)
	}
	return nil
}

// tooMuch refuses a message for its user properties. The connection lives on: a QoS 0
// message has no answer, and those of the others have a word for it.
func (c *conn) tooMuch(p *publish) {
	c.refuses("message refused: its user properties are too large", userProperties, "topic", p.topic)
	switch p.qos {
	case 1:
		c.answer(typePuback, p.id, quotaExceeded, nil)
	case 2:
		c.sess.unreceive(p.id)
		c.answer(typePubrec, p.id, quotaExceeded, nil)
	}
}

// publish routes a message, and keeps it when it is to be retained.
func (b *Broker) publish(port *router.Port, m *message.Message, way *router.Route) *router.Receipt {
	if m.Retain && way.Allowed {
		return port.PublishKept(m, way, b.retain)
	}
	return port.Publish(m, way)
}

// resolve sets or uses a topic alias [MQTT 3.3.2.3.4].
func (c *conn) resolve(p *publish) error {
	switch {
	case !p.hasAlias:
		if len(p.topic) == 0 {
			return protocolError
		}
		return nil
	case p.alias == 0 || p.alias > maxAliases:
		return topicAliasInvalid // [MQTT-3.3.2-8, -9]
	}
	if c.aliases == nil {
		c.aliases = make([]string, maxAliases)
	}
	if len(p.topic) > 0 {
		if message.CheckTopic(string(p.topic)) == nil {
			c.aliases[p.alias-1] = string(p.topic)
		}
		return nil
	}
	topic := c.aliases[p.alias-1]
	if topic == "" {
		return protocolError // [MQTT-3.3.2-8]: nothing is known by that alias
	}
	p.topic = append(c.topic[:0], topic...)
	c.topic = p.topic
	return nil
}

// acknowledge answers a QoS 1 or 2 publish once its receipts are in. A client
// of MQTT 5 learns that the gate has refused it; one of 3.1.1 has no word for
// that.
func (c *conn) acknowledge(p *publish, allowed bool, receipt *router.Receipt) {
	kind, reason := byte(typePuback), success
	if p.qos == 2 {
		kind = typePubrec
	}
	if !allowed && c.v5 {
		reason = notAuthorized
		if p.qos == 2 {
			c.sess.unreceive(p.id)
		}
	}
	c.answer(kind, p.id, reason, receipt)
}

// acknowledged takes PUBACK, PUBREC, PUBREL and PUBCOMP.
func (c *conn) acknowledged(kind byte, body []byte) error {
	id, reason, err := decodeAck(kind, body, c.v5)
	if err != nil {
		return err
	}
	d := c.port.Delivery()
	switch kind {
	case typePubrec:
		c.sess.recorded(c, id, reason, d)
	case typePubrel:
		c.released(id, d)
	default:
		c.sess.acked(c, kind, id, reason, d)
	}
	return nil
}

// prolong sets the expiry that a DISCONNECT asks for, in seconds. A session
// that was to end with its connection cannot be kept [MQTT 3.14.2.2.2].
func (s *session) prolong(c *conn, expiry uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil // taken over
	}
	if s.expiry == 0 && expiry > 0 {
		return protocolError
	}
	s.expiry = expiry
	if expiry == 0 {
		s.lapse()
	}
	return nil
}

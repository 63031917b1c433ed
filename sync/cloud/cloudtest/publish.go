package cloudtest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// publish takes a PUBLISH (aws-iot.md 2.1 and 2.2). An error ends the
// connection; a refusal of this message alone is answered here. It expects
// Cloud.mu to be held.
func (c *Cloud) publish(cn *conn, p *publishPacket) error {
	if p.qos == 2 {
		return &breach{codeQoSNotSupported, "qos-2", "a publish with QoS 2"}
	}
	if err := cn.alias(p); err != nil {
		return err
	}
	if b := c.judgePublish(cn, p); b != nil {
		return c.refuse(cn, p, b)
	}
	if p.qos == 1 {
		switch {
		case cn.unackedIn[p.id] && cn.version == version5:
			// MQTT 5 sends again on a new connection only [MQTT5-4.4.0-1].
			return c.refuse(cn, p, &breach{codePacketIDInUse, "packet-id-in-use", fmt.Sprintf("packet id %d is not acknowledged yet", p.id)})
		case !cn.unackedIn[p.id] && len(cn.unackedIn) >= cn.receiveMaximum:
			b := &breach{codeReceiveMaximum, "receive-maximum", fmt.Sprintf("more than %d publishes without PUBACK", cn.receiveMaximum)}
			if cn.version == version5 {
				return b
			}
			return c.refuse(cn, p, b)
		}
	}
	if cn.rate.take(time.Now(), c.limits.PublishRate) > 0 {
		return c.refuse(cn, p, &breach{codeQuota, "publish-rate", fmt.Sprintf("more than %d publishes a second", c.limits.PublishRate)})
	}
	if done, err := c.strike(cn, p); done {
		return err
	}
	c.take(cn, p)
	c.acknowledge(cn, p, codeSuccess)
	if f := &c.faults; f.DisconnectAfter > 0 {
		if f.DisconnectAfter--; f.DisconnectAfter == 0 {
			cn.disconnect(f.DisconnectCode, "SERVER_INITIATED_DISCONNECT", "fault")
		}
	}
	return nil
}

// alias puts the topic in that a topic alias stands for.
func (cn *conn) alias(p *publishPacket) error {
	if p.props == nil || !p.props.has(propTopicAlias) {
		if p.topic == "" {
			return protocolError("a publish without topic")
		}
		return nil
	}
	alias := uint16(p.props.number[propTopicAlias])
	if alias == 0 || int(alias) > cn.aliasMaximum {
		return &breach{codeBadAlias, "topic-alias", fmt.Sprintf("topic alias %d, of at most %d", alias, cn.aliasMaximum)}
	}
	if p.topic != "" {
		cn.aliases[alias] = p.topic
		return nil
	}
	if p.topic = cn.aliases[alias]; p.topic == "" {
		return protocolError("topic alias %d stands for nothing", alias)
	}
	return nil
}

// judgePublish decides whether the cloud takes a message of this client.
func (c *Cloud) judgePublish(cn *conn, p *publishPacket) *breach {
	_, topic := splitIngest(p.topic)
	reserved := strings.HasPrefix(p.topic, "$")
	switch fault := c.limits.sizeFault(topic); {
	case hasWildcard(p.topic):
		return &breach{codeBadTopic, "topic", "a wildcard in a topic"}
	case fault != "":
		return &breach{codeBadTopic, "topic", fault}
	case over(len(p.payload), c.limits.Payload):
		return &breach{codePacketTooLarge, "payload-size", fmt.Sprintf("a payload of %d bytes, more than %d", len(p.payload), c.limits.Payload)}
	case reserved && p.retain, !mayPublish(p.topic):
		return &breach{codeProtocolError, "reserved-topic", fmt.Sprintf("an unsupported publish to %q", p.topic)}
	case !c.policy(cn.thing).mayPublish(p.topic):
		return &breach{codeNotAuthorized, "policy", fmt.Sprintf("%q may not publish to %q", cn.thing, p.topic)}
	}
	if p.props != nil && p.props.has(propMessageExpiry) {
		// AWS takes 1 s to 7 days.
		if n := p.props.number[propMessageExpiry]; n == 0 || c.limits.MessageExpiry > 0 && time.Duration(n)*time.Second > c.limits.MessageExpiry {
			return &breach{codeProtocolError, "message-expiry", fmt.Sprintf("a message expiry of %d s", n)}
		}
	}
	return nil
}

// refuse answers a message that is not taken. MQTT 5 tells the reason in the
// PUBACK, or in a DISCONNECT where there is none. 3.1.1 has no reasons: AWS
// discards what exceeds a rate or a window, and cuts the connection otherwise.
// Codes that AWS's PUBACK does not have end the connection in both.
func (c *Cloud) refuse(cn *conn, p *publishPacket, b *breach) error {
	inPuback := b.code == codeNotAuthorized || b.code == codeBadTopic || b.code == codePacketIDInUse || b.code == codeQuota
	discarded := b.code == codeQuota || b.code == codeReceiveMaximum
	switch {
	case cn.version == version5 && p.qos == 1 && inPuback:
		c.counts.Refused++
		_ = c.violate(cn.session.id, b.rule, b.detail)
		c.acknowledge(cn, p, b.code)
		return nil
	case discarded:
		c.counts.Discarded++
		_ = c.violate(cn.session.id, b.rule, b.detail)
		return nil
	}
	return b
}

// strike lets the faults strike that keep a message from being taken.
func (c *Cloud) strike(cn *conn, p *publishPacket) (done bool, err error) {
	f := &c.faults
	for _, x := range f.Poison {
		if (x.Filter == "" || matches(x.Filter, p.topic)) && bytes.Contains(p.payload, []byte(x.Payload)) {
			cn.cut("SERVER_ERROR", true)
			return true, nil
		}
	}
	if f.PublishLost.take() {
		c.counts.Discarded++
		return true, nil
	}
	if p.qos == 1 && f.PubackCode != 0 && f.PubackCount.take() {
		c.counts.Refused++
		if cn.version == version5 {
			c.acknowledge(cn, p, f.PubackCode)
		}
		return true, nil
	}
	return false, nil
}

// take takes a message in: record, retained message, subscribers, services.
func (c *Cloud) take(cn *conn, p *publishPacket) {
	rule, topic := splitIngest(p.topic)
	m := &message{topic: topic, payload: p.payload, qos: p.qos, retain: p.retain, from: cn.session}
	if p.props != nil {
		m.props = p.props.publish()
	}
	m.expire()
	c.record(Received{
		Client: cn.session.id, Thing: cn.thing, Topic: topic, Rule: rule, Payload: p.payload,
		QoS: p.qos, Retain: p.retain, Dup: p.dup, Properties: m.props,
	})
	if rule == "" {
		c.admit(m)
	}
}

// admit gives a message to who wants it.
func (c *Cloud) admit(m *message) {
	c.retain(m)
	c.route(m)
	if request, ok := parseShadowTopic(m.topic); ok {
		c.shadowRequest(request, m.payload)
	}
}

// expire sets when the message expires.
func (m *message) expire() {
	if m.props != nil && m.props.MessageExpiry != nil {
		m.expires = time.Now().Add(time.Duration(*m.props.MessageExpiry) * time.Second)
	}
}

// acknowledge queues the PUBACK, as the faults let it.
func (c *Cloud) acknowledge(cn *conn, p *publishPacket, code byte) {
	if p.qos == 0 {
		return
	}
	f := &c.faults
	cn.unackedIn[p.id] = true
	if code == codeSuccess && f.PubackLost.take() {
		return
	}
	a := ack{id: p.id, code: code, due: time.Now().Add(f.PubackDelay), twice: f.PubackTwice.take()}
	if n := len(cn.acks); n > 0 && a.due.Before(cn.acks[n-1].due) {
		a.due = cn.acks[n-1].due // in order [MQTT-4.6.0-2]
	}
	cn.acks = append(cn.acks, a)
	cn.nudge()
}

// Publish publishes from the cloud, as the console or a rule does: to the
// subscribers, without policies and rates, and without a record. The topic may
// be a reserved one, so that a test can answer for a service.
func (c *Cloud) Publish(topic string, payload []byte, qos byte, retain bool) error {
	return c.PublishProperties(topic, payload, qos, retain, nil)
}

// PublishProperties is Publish with properties of MQTT 5; nil is none.
func (c *Cloud) PublishProperties(topic string, payload []byte, qos byte, retain bool, p *Properties) error {
	switch {
	case topic == "" || hasWildcard(topic):
		return fmt.Errorf("publish from the cloud: %q is no topic", topic)
	case qos > 1:
		return errors.New("publish from the cloud: QoS is 0 or 1")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &message{topic: topic, payload: bytes.Clone(payload), qos: qos, retain: retain, props: p}
	m.expire()
	c.retain(m)
	c.route(m)
	return nil
}

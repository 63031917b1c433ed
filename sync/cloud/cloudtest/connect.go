package cloudtest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// connect takes a CONNECT (aws-iot.md 2.1 and 2.2): it judges it, takes the
// client id over, finds or makes the session and queues the CONNACK. An error
// is a breach whose code goes into the CONNACK of a refusal. It expects
// Cloud.mu to be held.
func (c *Cloud) connect(cn *conn, p *connectPacket) error {
	cn.version = p.version
	if f := &c.faults; f.ConnackCode != 0 && f.ConnackCount.take() {
		return &breach{f.ConnackCode, "fault", "the cloud refuses"}
	}
	id, err := c.judge(cn.thing, p)
	if err != nil {
		return err
	}
	h := c.connects[id]
	if h == nil {
		h = &history{}
		c.connects[id] = h
	}
	if h.rate.take(time.Now(), c.limits.ConnectRate) > 0 {
		return &breach{codeQuota, "connect-rate", fmt.Sprintf("more than %d CONNECT a second", c.limits.ConnectRate)}
	}
	h.connects++

	old := c.sessions[id]
	if old != nil && old.conn != nil {
		old.conn.disconnect(codeTakenOver, "DUPLICATE_CLIENTID", "another connection with this client id")
		old = c.sessions[id] // its session may have ended with it
	}
	present := old != nil && !p.clean
	if c.faults.SessionLost.take() {
		present = false
	}
	s := old
	if present {
		s.stop()
		s.will = nil
	} else {
		if old != nil {
			c.publishWill(old) // the old session ends (MQTT 5, 3.1.3.2.2)
			c.endSession(old)
		}
		s = &session{id: id, filters: map[string]subscription{}, unacked: map[uint16]*delivery{}}
		c.sessions[id] = s
	}
	s.thing, s.conn, s.version, s.drain = cn.thing, cn, p.version, bucket{}
	if p.will != nil {
		s.will, s.willDelay = c.willOf(p, s), time.Duration(p.willDelay)*time.Second
	}
	cn.session = s
	cn.send(c.accept(cn, p, present))
	c.presenceHere(cn)
	c.touch()
	return nil
}

// judge decides whether the client may connect, and with which client id.
func (c *Cloud) judge(thing string, p *connectPacket) (id string, err error) {
	policy := c.policy(thing)
	id = p.client
	switch {
	case id == "" && p.version == version4 && !p.clean:
		return "", &breach{codeBadClientID, "client-id", "no client id and no clean session"} // [MQTT-3.1.3-8]
	case id == "":
		id = "$GEN/" + newID() // AWS's form of assigned ids
	case id[0] == '$', over(len(id), c.limits.ClientID):
		return "", &breach{codeBadClientID, "client-id", fmt.Sprintf("the client id %q", id)}
	}
	if policy.Clients != nil && !slices.Contains(policy.Clients, id) {
		return "", &breach{codeNotAuthorized, "policy", fmt.Sprintf("%q may not connect as %q", thing, id)}
	}
	if p.props != nil && (p.props.has(propAuthMethod) || p.props.has(propAuthData)) {
		return "", &breach{codeProtocolError, "auth", "enhanced authentication is not served"}
	}
	if w := p.will; w != nil {
		switch fault := c.limits.sizeFault(w.topic); {
		case w.qos == 2:
			return "", &breach{codeQoSNotSupported, "qos-2", "a will with QoS 2"}
		case w.topic == "" || hasWildcard(w.topic) || fault != "":
			return "", &breach{codeBadTopic, "topic", "the will's topic: " + fault}
		case w.retain && strings.HasPrefix(w.topic, "$"):
			return "", &breach{codeBadTopic, "reserved-topic", "a retained will on a reserved topic"}
		case !policy.mayPublish(w.topic):
			return "", &breach{codeNotAuthorized, "policy", "the will's topic"}
		case over(len(w.payload), c.limits.Payload):
			return "", &breach{codeQuota, "payload-size", "the will's payload"}
		}
	}
	return id, nil
}

func (c *Cloud) willOf(p *connectPacket, s *session) *message {
	m := &message{topic: p.will.topic, payload: p.will.payload, qos: p.will.qos, retain: p.will.retain, from: s}
	if p.will.props != nil {
		m.props = p.will.props.publish()
	}
	return m
}

// accept settles the terms of the connection and returns the CONNACK.
func (c *Cloud) accept(cn *conn, p *connectPacket, present bool) []byte {
	cn.identifier = newID()
	cn.keepAlive = c.keepAlive(p.keepAlive)
	cn.receiveMaximum = c.limits.UnackedIn
	if cn.receiveMaximum < 0 {
		cn.receiveMaximum = math.MaxUint16
	}
	cn.aliasMaximum = min(max(c.limits.TopicAlias, 0), math.MaxUint16)
	cn.clientReceive = math.MaxUint16
	cn.aliases, cn.unackedIn = map[uint16]string{}, map[uint16]bool{}
	s := cn.session
	if p.version == version4 {
		// 3.1.1 lets the client take any number; the session lasts as long as
		// the account allows.
		if s.expiry = 0; !p.clean {
			s.expiry = c.limits.SessionExpiry
		}
		return encodeConnack(version4, present, codeSuccess, nil)
	}
	cn.clientReceive = int(p.props.numberOr(propReceiveMaximum, math.MaxUint16))
	cn.clientPacket = p.props.numberOr(propMaximumPacketSize, 0)
	asked := p.props.numberOr(propSessionExpiry, 0)
	granted := c.sessionExpiry(asked)
	s.expiry = granted
	var l propertyList
	if seconds := uint32(granted / time.Second); seconds != asked {
		l.uint32(propSessionExpiry, seconds)
	}
	l.uint16(propReceiveMaximum, uint16(min(cn.receiveMaximum, math.MaxUint16)))
	l.byte(propMaximumQoS, 1)
	l.byte(propRetainAvailable, 1)
	if c.limits.Packet > 0 {
		l.uint32(propMaximumPacketSize, uint32(c.limits.Packet))
	}
	if p.client == "" {
		l.text(propAssignedClientID, s.id)
	}
	if cn.aliasMaximum > 0 {
		l.uint16(propTopicAliasMaximum, uint16(cn.aliasMaximum))
	}
	l.byte(propWildcardAvailable, 1)
	l.byte(propSubscriptionIDAvail, 0)
	l.byte(propSharedAvailable, 1)
	l.uint16(propServerKeepAlive, uint16(min(cn.keepAlive/time.Second, math.MaxUint16)))
	return encodeConnack(version5, present, codeSuccess, l)
}

// keepAlive is what AWS keeps: 0 and more than the maximum become the maximum.
func (c *Cloud) keepAlive(seconds uint16) time.Duration {
	asked := time.Duration(seconds) * time.Second
	if longest := c.limits.KeepAliveMax; longest > 0 && (asked == 0 || asked > longest) {
		return longest
	}
	if asked > 0 && asked < c.limits.KeepAliveMin {
		return c.limits.KeepAliveMin
	}
	return asked
}

// sessionExpiry is what the account allows of what was asked.
func (c *Cloud) sessionExpiry(seconds uint32) time.Duration {
	asked := time.Duration(seconds) * time.Second
	if longest := c.limits.SessionExpiry; longest >= 0 && asked > longest {
		return longest
	}
	return asked
}

// refusal is the CONNACK that refuses with a code of MQTT 5, which 3.1.1 has
// but five of.
func refusal(version, code byte) []byte {
	if version == version5 {
		return encodeConnack(version, false, code, nil)
	}
	v4 := byte(3) // server unavailable
	switch code {
	case codeBadVersion:
		v4 = 1
	case codeBadClientID:
		v4 = 2
	case codeBadUserName:
		v4 = 4
	case codeNotAuthorized:
		v4 = 5
	}
	return encodeConnack(version4, false, v4, nil)
}

package cloudtest

import (
	"fmt"
	"time"
)

// packet handles one packet after CONNECT. A reason says that the connection is
// to end; an error is a breach.
func (c *Cloud) packet(cn *conn, first byte, body []byte) (reason string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cn.closing {
		return "SERVER_INITIATED_DISCONNECT", nil
	}
	switch first >> 4 {
	case typePublish:
		p, err := parsePublish(first, body, cn.version)
		if err != nil {
			return "", err
		}
		return "", c.publish(cn, p)
	case typePuback:
		id, _, err := parsePuback(first, body, cn.version)
		if err != nil {
			return "", err
		}
		return "", cn.acknowledged(id)
	case typeSubscribe:
		p, err := parseSubscribe(first, body, cn.version)
		if err != nil {
			return "", err
		}
		return "", c.subscribe(cn, p)
	case typeUnsubscribe:
		id, filters, err := parseUnsubscribe(first, body, cn.version)
		if err != nil {
			return "", err
		}
		c.unsubscribe(cn, id, filters)
		return "", nil
	case typePingreq:
		if first != typePingreq<<4 || len(body) != 0 {
			return "", malformed("a PINGREQ with flags or a body")
		}
		cn.send(frame(typePingresp<<4, nil))
		return "", nil
	case typeDisconnect:
		return c.goodbye(cn, first, body)
	}
	// A second CONNECT, PUBREC, PUBREL, PUBCOMP, AUTH (aws-iot.md 2.2), and
	// what only a server sends.
	return "", protocolError("a packet of type %d", first>>4)
}

// goodbye is the client's DISCONNECT.
func (c *Cloud) goodbye(cn *conn, first byte, body []byte) (reason string, err error) {
	code, expiry, err := parseDisconnect(first, body, cn.version)
	if err != nil {
		return "", err
	}
	s := cn.session
	if expiry != nil {
		if s.expiry == 0 && *expiry > 0 {
			return "", protocolError("a session that ends with its connection gets an expiry of %d s", *expiry) // [MQTT5-3.14.2-2]
		}
		s.expiry = c.sessionExpiry(*expiry)
	}
	if code == codeSuccess {
		s.will = nil // [MQTT-3.14.4-3]
	}
	return "CLIENT_INITIATED_DISCONNECT", nil
}

// subscribe takes a SUBSCRIBE (aws-iot.md 2.1).
func (c *Cloud) subscribe(cn *conn, p *subscribePacket) error {
	s := cn.session
	if p.props != nil && p.props.has(propSubscriptionID) {
		return &breach{codeNoSubscriptionIDs, "subscription-identifier", "CONNACK said that there are none"}
	}
	if over(len(p.filters), c.limits.FiltersPerSubscribe) {
		return &breach{codeQuota, "filters-per-subscribe", fmt.Sprintf("%d filters in one SUBSCRIBE, more than %d", len(p.filters), c.limits.FiltersPerSubscribe)}
	}
	for _, f := range p.filters {
		if f.qos == 2 && cn.version == version5 {
			return &breach{codeQoSNotSupported, "qos-2", "a subscription with QoS 2"}
		}
		if f.qos == 2 {
			// 3.1.1: AWS sends no SUBACK for QoS 2.
			_ = c.violate(s.id, "qos-2", "a subscription with QoS 2")
			return nil
		}
	}
	codes := make([]byte, len(p.filters))
	var added []string
	var retained []*delivery
	for i, f := range p.filters {
		_, known := s.filters[f.filter]
		if b := c.judgeFilter(cn, f, known); b != nil {
			if b.code == codeProtocolError || b.code == codeNotAuthorized && cn.version == version4 {
				return b // 3.1.1: AWS cuts who subscribes without permission
			}
			_ = c.violate(s.id, b.rule, b.detail)
			codes[i] = b.code
			if cn.version == version4 {
				codes[i] = codeUnspecified
			}
			continue
		}
		codes[i] = f.qos
		s.filters[f.filter] = f
		added = append(added, f.filter)
		if m := c.retained[f.filter]; m != nil && f.retainHandling != 2 && !(known && f.retainHandling == 1) && !(f.noLocal && m.from == s) {
			retained = append(retained, &delivery{message: m, qos: min(m.qos, f.qos), retain: true, since: time.Now()})
		}
	}
	cn.send(encodeSuback(typeSuback, cn.version, p.id, codes))
	s.live = append(s.live, retained...)
	c.subscriptionEvent(cn, "subscribed", added)
	c.touch()
	return nil
}

// judgeFilter decides whether a client may subscribe to a filter.
func (c *Cloud) judgeFilter(cn *conn, f subscription, known bool) *breach {
	group, filter, err := splitShared(f.filter)
	if err != nil {
		return &breach{codeBadFilter, "filter", err.Error()}
	}
	if group != "" && f.noLocal {
		return &breach{codeProtocolError, "protocol", "No Local on a shared subscription"} // [MQTT5-3.8.3-4]
	}
	fault := filterFault(filter)
	if fault == "" {
		fault = c.limits.sizeFault(filter)
	}
	if rule, _ := splitIngest(filter); rule != "" {
		fault = "Basic Ingest topics cannot be subscribed to"
	}
	if fault != "" {
		return &breach{codeBadFilter, "filter", fault}
	}
	if !c.policy(cn.thing).maySubscribe(filter) {
		return &breach{codeNotAuthorized, "policy", fmt.Sprintf("%q may not subscribe to %q", cn.thing, filter)}
	}
	if !known && over(len(cn.session.filters)+1, c.limits.Subscriptions) {
		return &breach{codeQuota, "subscriptions", fmt.Sprintf("more than %d subscriptions", c.limits.Subscriptions)}
	}
	return nil
}

func (c *Cloud) unsubscribe(cn *conn, id uint16, filters []string) {
	codes := make([]byte, len(filters))
	var removed []string
	for i, f := range filters {
		if _, known := cn.session.filters[f]; !known {
			codes[i] = codeNoSubscription
			continue
		}
		delete(cn.session.filters, f)
		removed = append(removed, f)
	}
	cn.send(encodeSuback(typeUnsuback, cn.version, id, codes))
	c.subscriptionEvent(cn, "unsubscribed", removed)
	c.touch()
}

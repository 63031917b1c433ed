package broker

import (
	"encoding/binary"

	"greengate/core/message"
)

// asked is one filter of a SUBSCRIBE or UNSUBSCRIBE with its options [MQTT 3.8.3.1].
type asked struct {
	filter  string
	options byte // of a SUBSCRIBE
}

func (a asked) qos() byte { return a.options & 3 }

// wantsRetained tells whether the retained messages are to be sent
// [MQTT-3.3.1-9, -10, -11].
func (a asked) wantsRetained(existed bool) bool {
	handling := a.options >> 4 & 3
	return handling == 0 || handling == 1 && !existed
}

// subscribes takes a SUBSCRIBE that was checked: it enters the subscriptions, answers,
// and sends the retained messages after SUBACK.
func (c *conn) subscribes(body []byte) error {
	id, subID, filters := readFilters(typeSubscribe, body, c.v5)
	codes := make([]byte, len(filters))
	var entered, fresh []*subscription
	for i, a := range filters {
		sub := &subscription{sess: c.sess, filter: a.filter, qos: a.qos(), id: subID}
		if c.v5 {
			sub.noLocal, sub.asPublished = a.options&4 != 0, a.options&8 != 0
		}
		existed, refused := c.b.subscribe(c, sub)
		switch {
		case refused == success:
			codes[i] = sub.qos
			entered = append(entered, sub)
			if a.wantsRetained(existed) {
				fresh = append(fresh, sub)
			}
		case c.v5:
			codes[i] = byte(refused)
		default:
			codes[i] = byte(unspecifiedError311)
		}
	}
	c.b.rememberSubscriptions(c.sess, entered, nil)
	if err := c.answerFilters(typeSuback, id, codes); err != nil {
		return err
	}
	for _, sub := range fresh {
		c.sendRetained(sub)
	}
	return nil
}

// sendRetained sends a new subscriber what the gate lets through to it.
func (c *conn) sendRetained(sub *subscription) {
	to := message.DeviceEndpoint(c.thing)
	ask := &handle{sess: c.sess, qos: sub.qos, retained: true}
	if sub.id != 0 {
		ask.subIDs = []uint32{sub.id}
	}
	for _, m := range c.b.retained.matching(sub.filter) {
		if sub.noLocal && m.Source == to {
			continue // [MQTT-3.8.3-3]
		}
		c.port.Send(m, to, ask)
	}
}

// unsubscribes takes the subscriptions of an UNSUBSCRIBE that was checked out, and
// answers.
func (c *conn) unsubscribes(body []byte) error {
	id, _, filters := readFilters(typeUnsubscribe, body, c.v5)
	codes := make([]byte, len(filters))
	var removed []string
	for i, a := range filters {
		if c.b.unsubscribe(c, a.filter) {
			removed = append(removed, a.filter)
		} else {
			codes[i] = byte(noSubscription)
		}
	}
	c.b.rememberSubscriptions(c.sess, nil, removed)
	if !c.v5 {
		codes = nil // MQTT 3.1.1 has none in UNSUBACK
	}
	return c.answerFilters(typeUnsuback, id, codes)
}

// answerFilters appends SUBACK or UNSUBACK.
func (c *conn) answerFilters(kind byte, id uint16, codes []byte) error {
	remaining := 2 + len(codes)
	if c.v5 {
		remaining++ // no properties
	}
	if remaining+1+varintSize(remaining) > c.maxSize {
		return packetTooLarge // [MQTT-3.1.2-24]
	}
	b := binary.AppendUvarint([]byte{kind << 4}, uint64(remaining))
	b = binary.BigEndian.AppendUint16(b, id)
	if c.v5 {
		b = append(b, 0)
	}
	c.reply(append(b, codes...)...)
	return nil
}

// reply appends a packet that answers one of the client's. It is written at the end of
// the batch.
func (c *conn) reply(packet ...byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead || c.closing.Load() {
		return
	}
	c.out.append(packet)
}

// readFilters reads a SUBSCRIBE [MQTT 3.8] or UNSUBSCRIBE [MQTT 3.10] that was checked.
// subID is the subscription identifier; 0: none.
func readFilters(kind byte, b []byte, v5 bool) (id uint16, subID uint32, filters []asked) {
	id, b = binary.BigEndian.Uint16(b), b[2:]
	if v5 {
		n, size := binary.Uvarint(b)
		subID, b = readSubID(b[size:size+int(n)]), b[size+int(n):]
	}
	for len(b) > 0 {
		filter, rest, _ := cutBytes(b)
		a := asked{filter: string(filter)}
		if b = rest; kind == typeSubscribe {
			a.options, b = b[0], b[1:]
		}
		filters = append(filters, a)
	}
	return id, subID, filters
}

// readSubID finds the subscription identifier among properties that were checked.
func readSubID(b []byte) uint32 {
	for len(b) > 0 {
		id, value := b[0], b[1:]
		if id == propSubscription {
			n, _ := binary.Uvarint(value)
			return uint32(n)
		}
		b, _ = checkValue(id, value)
	}
	return 0
}

package broker

import (
	"encoding/binary"
	"iter"

	"greengate/core/router"
)

// asked is one filter of a SUBSCRIBE or UNSUBSCRIBE with its options [MQTT 3.8.3.1].
type asked struct {
	filter  []byte // in the packet
	options byte   // of a SUBSCRIBE
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
	var codes []byte
	var entered, fresh []*subscription
	at := map[string]int{} // of a filter in fresh
	for a := range filters {
		switch {
		case len(codes) == maxFilters:
			codes = append(codes, c.denied(quotaExceeded, a))
			continue
		case len(codes) > maxFilters: // as the one before, maybe a million times
			c.b.router.Note(router.Refused, filterLimit)
			codes = append(codes, codes[maxFilters])
			continue
		}
		sub := &subscription{sess: c.sess, filter: string(a.filter), qos: a.qos(), id: subID}
		if c.v5 {
			sub.noLocal, sub.asPublished = a.options&4 != 0, a.options&8 != 0
		}
		existed, refused := c.b.subscribe(c, sub)
		if refused != success {
			codes = append(codes, c.denied(refused, a))
			continue
		}
		codes = append(codes, sub.qos)
		entered = append(entered, sub)
		if i, again := at[sub.filter]; again {
			fresh[i] = sub // once for each filter, however often it stands there
		} else if a.wantsRetained(existed) {
			at[sub.filter] = len(fresh)
			fresh = append(fresh, sub)
		}
	}
	c.b.rememberSubscriptions(c.sess, entered, nil)
	if err := c.answerFilters(typeSuback, id, codes); err != nil {
		return err
	}
	for _, sub := range fresh {
		c.queueRetained(sub)
	}
	c.fed.want(fresh)
	c.feed(c.port)
	return nil
}

// denials are why a filter is refused, by the code of MQTT 5.
var denials = map[code]router.Reason{
	sharedNotSupported: filterShared,
	filterInvalid:      filterBad,
	notAuthorized:      filterStrict,
	quotaExceeded:      filterLimit,
}

// denied counts a filter that is refused, and returns its code in SUBACK.
func (c *conn) denied(why code, a asked) byte {
	c.refuses("filter refused", denials[why], "filter", a.filter)
	if !c.v5 {
		return byte(unspecifiedError311)
	}
	return byte(why)
}

// unsubscribes takes the subscriptions of an UNSUBSCRIBE that was checked out, and
// answers.
func (c *conn) unsubscribes(body []byte) error {
	id, _, filters := readFilters(typeUnsubscribe, body, c.v5)
	var codes []byte
	var removed []*subscription
	for a := range filters {
		reason := noSubscription
		if sub := c.b.unsubscribe(c, a.filter); sub != nil {
			removed, reason = append(removed, sub), success
		}
		codes = append(codes, byte(reason))
	}
	c.fed.forget(removed)
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
// subID is the subscription identifier; 0: none. There may be a million filters in a
// packet, so they are taken out one by one.
func readFilters(kind byte, b []byte, v5 bool) (id uint16, subID uint32, filters iter.Seq[asked]) {
	id, b = binary.BigEndian.Uint16(b), b[2:]
	if v5 {
		n, size := binary.Uvarint(b)
		subID, b = readSubID(b[size:size+int(n)]), b[size+int(n):]
	}
	return id, subID, func(yield func(asked) bool) {
		for rest := b; len(rest) > 0; {
			var a asked
			if a.filter, rest, _ = cutBytes(rest); kind == typeSubscribe {
				a.options, rest = rest[0], rest[1:]
			}
			if !yield(a) {
				return
			}
		}
	}
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

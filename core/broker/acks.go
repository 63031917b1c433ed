package broker

import "greengate/core/router"

// acks are the answers to publishes whose receipts are not all in. While one
// waits, those after it wait too: acknowledgements leave in the order of the
// publishes [MQTT-4.6.0-2, -3], and the reader goes on reading meanwhile.
type acks struct {
	waiting []answer
}

type answer struct {
	kind    byte
	id      uint16
	reason  code
	receipt *router.Receipt // nil: nothing to wait for but its turn
}

func (a *acks) full() bool { return len(a.waiting) >= receiveMax }

// answer sends a PUBACK or PUBREC when its receipt is complete and its turn has
// come.
func (c *conn) answer(kind byte, id uint16, reason code, receipt *router.Receipt) {
	d := c.port.Delivery()
	a := answer{kind, id, reason, receipt}
	c.mu.Lock()
	if len(c.acks.waiting) == 0 && (receipt == nil || receipt.Complete()) {
		c.append(a)
		if c.out.size > 0 {
			c.later(d)
		}
		c.mu.Unlock()
		return
	}
	c.acks.waiting = append(c.acks.waiting, a)
	c.mu.Unlock()
	if receipt != nil {
		receipt.Then(c.answerReady)
	}
}

// append writes an answer. A message that a target could not take is refused; a
// client of MQTT 3.1.1, which has no word for that, is cut, and sends it again.
// The caller holds mu.
func (c *conn) append(a answer) {
	if c.dead || c.closing.Load() {
		return
	}
	if a.receipt != nil && a.receipt.Failed() {
		if a.kind == typePubrec {
			go c.sess.unreceive(a.id) // s.mu comes before mu
		}
		if !c.v5 {
			go c.cut(quotaExceeded) // it takes mu
			return
		}
		a.reason = quotaExceeded
	}
	c.appendAck(a.kind, a.id, a.reason)
}

// answerReady sends the answers whose turn has come. It runs on the goroutine
// that completed a receipt.
func (c *conn) answerReady() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, a := range c.acks.waiting {
		if a.receipt != nil && !a.receipt.Complete() {
			break
		}
		n++
		c.append(a)
	}
	if n == 0 {
		return
	}
	c.acks.waiting = c.acks.waiting[n:]
	if len(c.acks.waiting) == 0 {
		c.acks.waiting = nil
	}
	c.drained.Broadcast()
	if c.out.size > 0 {
		c.start()
	}
}

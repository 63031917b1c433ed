package cloudtest

import (
	"crypto/tls"
	"time"
)

// conn is one MQTT connection after its CONNECT. Its fields are guarded by
// Cloud.mu, except those that do not change.
type conn struct {
	c       *Cloud
	session *session
	net     *tls.Conn
	line    *line
	thing   string
	version byte
	ending  chan struct{} // closed when closing becomes true
	written chan struct{} // closed when the writer has ended
	wake    chan struct{} // of the writer, capacity 1

	keepAlive      time.Duration
	identifier     string // of the connection, in presence events
	aliasMaximum   int    // told in CONNACK
	receiveMaximum int    // told in CONNACK
	clientReceive  int    // the client's Receive Maximum
	clientPacket   uint32 // the client's Maximum Packet Size
	aliases        map[uint16]string

	rate      bucket // publishes in and out
	in, out   bucket // bytes
	unackedIn map[uint16]bool

	control [][]byte // goes out first
	acks    []ack    // in order
	closing bool     // the writer flushes control and closes
}

// ack is a PUBACK that waits for its time.
type ack struct {
	id    uint16
	code  byte
	due   time.Time
	twice bool
}

// batch is how many bytes the writer gathers for one write.
const batch = 64 << 10

// nudge wakes the writer.
func (cn *conn) nudge() {
	select {
	case cn.wake <- struct{}{}:
	default:
	}
}

func (cn *conn) send(packet []byte) {
	if !cn.closing {
		cn.control = append(cn.control, packet)
		cn.nudge()
	}
}

// disconnect ends the connection as the cloud does: with a DISCONNECT for MQTT
// 5, without a word for 3.1.1, which has none from a server.
func (cn *conn) disconnect(code byte, reason, detail string) {
	if cn.closing {
		return
	}
	if cn.version == version5 {
		cn.send(encodeDisconnect(code, detail))
	}
	cn.close(reason, false)
}

// close ends the connection once what is in control is out; it does not wait
// long for a client that does not read.
func (cn *conn) close(reason string, clean bool) {
	if cn.closing {
		return
	}
	cn.closing = true
	close(cn.ending)
	_ = cn.net.SetWriteDeadline(time.Now().Add(2 * time.Second))
	cn.nudge()
	cn.c.detach(cn, reason, clean)
}

// cut ends the connection at once.
func (cn *conn) cut(reason string, reset bool) {
	if !cn.closing {
		cn.closing = true
		close(cn.ending)
	}
	if reset {
		cn.line.reset()
	} else {
		_ = cn.net.NetConn().Close()
	}
	cn.nudge()
	cn.c.detach(cn, reason, false)
}

func (cn *conn) windowFull() bool {
	limit := cn.clientReceive
	if out := cn.c.limits.UnackedOut; out >= 0 {
		limit = min(limit, out)
	}
	return len(cn.session.unacked) >= limit
}

// tooLarge tells whether the client refuses packets of this size; the delivery
// is then as good as done [MQTT5-3.1.2-25].
func (cn *conn) tooLarge(d *delivery) bool {
	return cn.clientPacket > 0 && len(d.topic)+len(d.payload)+12 > int(cn.clientPacket)
}

// write is the writer: it sends what is due until the connection ends.
func (cn *conn) write() {
	defer close(cn.written)
	defer cn.net.Close()
	for {
		cn.c.mu.Lock()
		bytes, wait, end := cn.next(time.Now())
		var slow time.Duration
		if len(bytes) > 0 {
			slow = cn.out.spend(time.Now(), len(bytes), cn.c.limits.Throughput)
		}
		cn.c.mu.Unlock()
		if len(bytes) > 0 {
			if _, err := cn.net.Write(bytes); err != nil {
				return
			}
		}
		if end {
			return
		}
		if len(bytes) > 0 {
			if slow > 0 {
				cn.pause(slow)
			}
			continue
		}
		var timer *time.Timer
		var due <-chan time.Time
		if wait > 0 {
			timer = time.NewTimer(wait)
			due = timer.C
		}
		select {
		case <-cn.wake:
		case <-due:
		}
		if timer != nil {
			timer.Stop()
		}
	}
}

// pause waits; it returns false when the connection begins to end before.
func (cn *conn) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-cn.ending:
		return false
	}
}

// next gathers what goes out now. wait is how long until there may be more (0:
// until a nudge), end that nothing follows. It expects Cloud.mu to be held.
func (cn *conn) next(now time.Time) (bytes []byte, wait time.Duration, end bool) {
	for _, packet := range cn.control {
		bytes = append(bytes, packet...)
	}
	cn.control = nil
	if cn.closing {
		return bytes, 0, true
	}
	soonest := func(w time.Duration) {
		if w > 0 && (wait == 0 || w < wait) {
			wait = w
		}
	}
	for len(cn.acks) > 0 && !cn.c.faults.PubackWithheld && len(bytes) < batch {
		a := cn.acks[0]
		if w := a.due.Sub(now); w > 0 {
			soonest(w)
			break
		}
		cn.acks = cn.acks[1:]
		delete(cn.unackedIn, a.id)
		packet := encodePuback(cn.version, a.id, a.code)
		bytes = append(bytes, packet...)
		if a.twice {
			bytes = append(bytes, packet...)
		}
	}
	for len(bytes) < batch {
		d, w := cn.c.nextDelivery(cn.session, now)
		soonest(w)
		if d == nil {
			break
		}
		bytes = append(bytes, cn.encode(d, now)...)
		cn.c.counts.Delivered++
	}
	return bytes, wait, false
}

// encode writes a delivery and, with QoS 1, remembers it until its PUBACK.
func (cn *conn) encode(d *delivery, now time.Time) []byte {
	s := cn.session
	if d.qos > 0 {
		for s.lastID++; s.lastID == 0 || s.unacked[s.lastID] != nil; {
			s.lastID++
		}
		d.id = s.lastID
		s.unacked[d.id] = d
		s.sent = append(s.sent, d)
	}
	return encodePublish(cn.version, d.topic, d.payload, d.qos, d.retain, d.id, d.remaining(now))
}

// acknowledged is the client's PUBACK.
func (cn *conn) acknowledged(id uint16) error {
	s := cn.session
	d := s.unacked[id]
	if d == nil {
		return protocolError("a PUBACK for packet id %d, which is not in use", id)
	}
	delete(s.unacked, id)
	for i, x := range s.sent {
		if x == d {
			s.sent = append(s.sent[:i], s.sent[i+1:]...)
			break
		}
	}
	cn.nudge()
	cn.c.touch()
	return nil
}

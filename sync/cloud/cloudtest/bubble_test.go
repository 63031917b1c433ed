package cloudtest_test

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// bubble is a cloud in a synctest bubble, where hours pass at once.
type bubble struct {
	*cloudtest.Cloud
	t    *testing.T
	pipe *cloudtest.Pipe
}

// inBubble runs f with a cloud on virtual time.
func inBubble(t *testing.T, o cloudtest.Options, f func(*testing.T, *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pipe := cloudtest.NewPipe()
		o.Listener, o.NoData = pipe, true
		f(t, &bubble{start(t, o), t, pipe})
	})
}

// dial opens a connection as the thing "w".
func (b *bubble) dial() (w *wire) {
	b.t.Helper()
	settings, err := b.ClientTLS("w")
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := b.pipe.Dial(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	w = &wire{tls.Client(conn, settings), b.t}
	b.t.Cleanup(func() { w.Close() })
	return w
}

// wire connects as the thing "w" and returns whether a session was present.
func (b *bubble) wire(connect []byte) (w *wire, present bool) {
	b.t.Helper()
	w = b.dial()
	w.send(connect)
	first, body := w.packet()
	if first != 0x20 || body[1] != 0 {
		b.t.Fatalf("CONNACK %#x %x", first, body)
	}
	return w, body[0] == 1
}

// The CONNECTs of "w" with a session that stays, for 3.1.1 and 5 (an hour).
var (
	keep4 = []byte("\x10\x0d\x00\x04MQTT\x04\x00\x00\x3c\x00\x01w")
	keep5 = []byte("\x10\x13\x00\x04MQTT\x05\x00\x00\x3c\x05\x11\x00\x00\x0e\x10\x00\x01w")
)

// publishPacket is a PUBLISH with QoS 1 to t; properties are those of MQTT 5
// with their length, or nothing.
func publishPacket(id uint16, properties, payload string) []byte {
	body := append([]byte("\x00\x01t"), byte(id>>8), byte(id))
	body = append(append(body, properties...), payload...)
	packet := []byte{0x32}
	n := len(body)
	for ; n > 127; n >>= 7 {
		packet = append(packet, byte(n)|0x80)
	}
	return append(append(packet, byte(n)), body...)
}

// acks reads n PUBACKs and returns how many had each code.
func (w *wire) acks(n int) map[byte]int {
	w.t.Helper()
	codes := map[byte]int{}
	for range n {
		first, body := w.packet()
		if first != 0x40 {
			w.t.Fatalf("packet %#x %x, want a PUBACK", first, body)
		}
		code := byte(0)
		if len(body) > 2 {
			code = body[2]
		}
		codes[code]++
	}
	return codes
}

// quiet checks that nothing comes for a while.
func (w *wire) quiet(d time.Duration) {
	w.t.Helper()
	_ = w.SetReadDeadline(time.Now().Add(d))
	var b [1]byte
	if n, err := w.Read(b[:]); n > 0 || err == nil {
		w.t.Errorf("packet %#x, want silence", b[0])
	}
}

// subscribeT subscribes to t with QoS 1 (3.1.1).
func (w *wire) subscribeT() {
	w.t.Helper()
	w.send([]byte("\x82\x06\x00\x01\x00\x01t\x01"))
	if first, body := w.packet(); first != 0x90 || body[len(body)-1] != 1 {
		w.t.Fatalf("packet %#x %x, want a SUBACK", first, body)
	}
}

// hears reads a PUBLISH with QoS 1 of 3.1.1 and acknowledges it if told.
func (w *wire) hears(acknowledge bool) (first byte, id uint16, payload string) {
	w.t.Helper()
	first, body := w.packet()
	if first>>4 != 3 {
		w.t.Fatalf("packet %#x %x, want a PUBLISH", first, body)
	}
	id = binary.BigEndian.Uint16(body[3:])
	if acknowledge {
		w.send([]byte{0x40, 2, byte(id >> 8), byte(id)})
	}
	return first, id, string(body[5:])
}

func TestKeepAlive(t *testing.T) {
	for name, x := range map[string]struct {
		connect string
		after   time.Duration
		said    bool // 0x8D
	}{
		"3.1.1, 60 s":                 {"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01w", 90 * time.Second, false},
		"5 s are 30 s":                {"\x10\x0e\x00\x04MQTT\x05\x02\x00\x05\x00\x00\x01w", 45 * time.Second, true},
		"0 is 1,200 s":                {"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01w", 1800 * time.Second, true},
		"more than 1,200 s are 1,200": {"\x10\x0d\x00\x04MQTT\x04\x02\xff\xff\x00\x01w", 1800 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
				w, _ := c.wire([]byte(x.connect))
				begun := time.Now()
				w.SetReadDeadline(begun.Add(time.Hour))
				var b [4]byte
				n, _ := w.Read(b[:])
				if took := time.Since(begun); took != x.after {
					t.Errorf("ended after %v, want %v", took, x.after)
				}
				if said := n > 2 && b[0] == 0xE0 && b[2] == 0x8D; said != x.said {
					t.Errorf("the last words are %x", b[:n])
				}
			})
		})
	}
}

func TestPublishRate(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(connect5)
		for i := range 150 {
			w.send(publishPacket(uint16(i+1), "\x00", "x"))
			w.acksInto(i)
		}
		if n := c.Status().Accepted; n != 100 {
			t.Errorf("%d accepted at once, want 100", n)
		}
		violated(t, c.Cloud, "publish-rate")
		time.Sleep(time.Second)
		w.send(publishPacket(1, "\x00", "x"))
		if got := w.acks(1); got[0] != 1 {
			t.Errorf("a second later: PUBACKs %v", got)
		}
	})
}

// acksInto reads the PUBACK of the i-th publish, which the rate refuses from
// 100 on.
func (w *wire) acksInto(i int) {
	w.t.Helper()
	want := byte(0)
	if i >= 100 {
		want = 0x97
	}
	if got := w.acks(1); got[want] != 1 {
		w.t.Fatalf("PUBACK of publish %d: %v, want %#x", i, got, want)
	}
}

func TestPublishRateDiscards311(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(connect4)
		for i := range 150 {
			w.send(publishPacket(uint16(i+1), "", "x"))
			if i < 100 {
				w.acks(1)
			}
		}
		w.quiet(time.Second)
		if s := c.Status(); s.Accepted != 100 || s.Discarded != 50 {
			t.Errorf("%d accepted, %d discarded", s.Accepted, s.Discarded)
		}
	})
}

func TestThroughputIsDelayed(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(connect5)
		begun := time.Now()
		for i := range 24 { // 3 MiB: 512 KiB at once, the rest in 5 s
			w.send(publishPacket(uint16(i+1), "\x00", string(make([]byte, 128<<10))))
		}
		w.acks(24)
		if took := time.Since(begun); took < 4800*time.Millisecond || took > 5200*time.Millisecond {
			t.Errorf("3 MiB took %v, want 5 s", took)
		}
	})
}

func TestReceiveMaximum(t *testing.T) {
	inBubble(t, cloudtest.Options{Limits: cloudtest.Limits{PublishRate: -1}}, func(t *testing.T, c *bubble) {
		c.Change(func(f *cloudtest.Faults) { f.PubackWithheld = true })
		w, _ := c.wire(connect5)
		for i := range 100 {
			w.send(publishPacket(uint16(i+1), "\x00", "x"))
		}
		w.quiet(time.Second)
		c.Change(func(f *cloudtest.Faults) { f.PubackWithheld = false })
		if got := w.acks(100); got[0] != 100 {
			t.Errorf("PUBACKs %v", got)
		}
		c.Change(func(f *cloudtest.Faults) { f.PubackWithheld = true })
		for i := range 101 {
			w.send(publishPacket(uint16(i+1), "\x00", "x"))
		}
		if first, body := w.packet(); first != 0xE0 || body[0] != 0x93 {
			t.Errorf("packet %#x %x, want DISCONNECT 0x93", first, body)
		}
	})
}

func TestReceiveMaximum311(t *testing.T) {
	inBubble(t, cloudtest.Options{Limits: cloudtest.Limits{PublishRate: -1}}, func(t *testing.T, c *bubble) {
		c.Change(func(f *cloudtest.Faults) { f.PubackWithheld = true })
		w, _ := c.wire(connect4)
		for i := range 101 {
			w.send(publishPacket(uint16(i+1), "", fmt.Sprint(i)))
		}
		w.quiet(time.Second)
		if n := c.Status().Discarded; n != 1 {
			t.Errorf("%d discarded, want 1", n)
		}
	})
}

// What goes out beyond the rate waits, or is lost, as the reading has it.
func TestExcessOfOtherReading(t *testing.T) {
	for discarded, want := range map[bool]int{false: 150, true: 100} {
		t.Run(fmt.Sprintf("discarded %v", discarded), func(t *testing.T) {
			inBubble(t, cloudtest.Options{Readings: cloudtest.Readings{ExcessDiscarded: discarded}}, func(t *testing.T, c *bubble) {
				w, _ := c.wire(connect4)
				w.send([]byte{0x82, 6, 0, 1, 0, 1, '#', 1})
				w.packet()
				for range 150 {
					if err := c.Publish("t", []byte("x"), 1, false); err != nil {
						t.Fatal(err)
					}
				}
				for range want {
					first, body := w.packet()
					if first>>4 != 3 {
						t.Fatalf("packet %#x", first)
					}
					w.send([]byte{0x40, 2, body[3], body[4]})
				}
				w.quiet(5 * time.Second)
			})
		})
	}
}

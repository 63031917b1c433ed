package main_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Bad input gets the protocol's own answer, and touches nobody else.

// witness is a pair of devices between which messages pass all the time.
type witness struct {
	*gateway
	sensor, display *device
	n               int
}

func newWitness(t *testing.T, things ...string) *witness {
	t.Helper()
	s := newSite(t, append(things, "sensor", "display")...)
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	w := &witness{gateway: s.start(), sensor: s.connect("sensor"), display: s.connect("display")}
	w.display.subscribe("room/#")
	return w
}

// unharmed fails the test unless the two still talk on their old connections.
func (w *witness) unharmed(after string) {
	w.t.Helper()
	w.n++
	text := fmt.Sprintf("%d, after %s", w.n, after)
	w.sensor.publish("room/x", text)
	w.display.hears("room/x", text)
}

// brokerEnds reads until the broker closes the connection.
func brokerEnds(t *testing.T, after string, conn net.Conn) (received []byte) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	received, err := io.ReadAll(conn)
	if os.IsTimeout(err) {
		t.Fatalf("%s: the broker keeps the connection open for %v", after, patience)
	}
	return received
}

func TestMalformedPackets(t *testing.T) {
	t.Parallel()
	w := newWitness(t, "bad")
	publish := func(topic, payload string) []byte {
		return rawPacket(0x30, append(rawString(topic), payload...))
	}
	for _, c := range []struct {
		name   string
		packet []byte
		levels []byte // the protocol levels that it is wrong in
	}{
		{"a SUBSCRIBE without its options", rawPacket(0x82, append([]byte{0, 1, 0}, rawString("x")...)), []byte{5}},
		{"a SUBSCRIBE that ends in a string", rawPacket(0x82, []byte{0, 1, 0xff, 0xff, 'x'}), []byte{4, 5}},
		{"a SUBSCRIBE without flags", rawPacket(0x80, append([]byte{0, 1}, append(rawString("x"), 0)...)), []byte{4, 5}},
		{"an empty SUBSCRIBE", rawPacket(0x82, []byte{0, 1}), []byte{4, 5}},
		{"packet type 0", []byte{0, 0}, []byte{4, 5}},
		{"a second CONNECT", rawConnect(4, "bad"), []byte{4}},
		{"a length that never ends", []byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}, []byte{4, 5}},
		{"a PUBLISH at QoS 3", rawPacket(0x36, append(rawString("room/x"), 0, 1, 'x')), []byte{4, 5}},
		{"a PUBLISH without a topic", rawPacket(0x30, []byte{0}), []byte{4, 5}},
		{"a PUBLISH with a short topic", rawPacket(0x30, []byte{0, 9, 'x'}), []byte{4, 5}},
		{"a PUBLISH with NUL in its topic", publish("room/\x00", "x"), []byte{4}},
		{"a PUBLISH to a wildcard", publish("room/#", "x"), []byte{4}},
		{"a PUBLISH that is not UTF-8", publish("room/\xff\xfe", "x"), []byte{4}},
		{"a PUBLISH with packet id 0", rawPacket(0x32, append(rawString("room/x"), 0, 0, 'x')), []byte{4}},
		{"a PUBLISH with half a property", rawPacket(0x30, append(rawString("room/x"), 5, 0x26, 0, 1)), []byte{5}},
		{"a topic alias of 0", rawPacket(0x30, append(rawString("room/x"), 3, 0x23, 0, 0)), []byte{5}},
		{"a topic alias that nobody set", rawPacket(0x30, append(rawString(""), 3, 0x23, 0, 1)), []byte{5}},
		{"a PUBACK cut short", []byte{0x40, 1, 0}, []byte{4, 5}},
		{"a server's packet", rawPacket(0x20, []byte{0, 0}), []byte{4, 5}},
	} {
		for _, level := range c.levels {
			conn := w.link(w.identity("bad"))
			if first, body := exchange(t, conn, rawConnect(level, "bad")); first != 0x20 || body[1] != 0 {
				t.Fatalf("connect: %#x %v", first, body)
			}
			_, _ = conn.Write(c.packet)
			answer := brokerEnds(t, c.name, conn)
			// MQTT 5 says why; MQTT 3.1.1 has no word for it.
			if level == 5 && (len(answer) < 3 || answer[0] != 0xe0 || answer[2] < 0x80) {
				t.Errorf("%s, MQTT 5: answer % x, want DISCONNECT with a reason", c.name, answer)
			}
			if level == 4 && len(answer) > 0 {
				t.Errorf("%s, MQTT 3.1.1: answer % x, want none", c.name, answer)
			}
			w.unharmed(c.name)
		}
	}
}

func TestGarbageBeforeConnect(t *testing.T) {
	t.Parallel()
	w := newWitness(t, "bad")
	for name, first := range map[string][]byte{
		"a PUBLISH before CONNECT":   rawPacket(0x30, append(rawString("room/x"), 'x')),
		"HTTP":                       []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"noise":                      bytes.Repeat([]byte{0xf7, 0x13}, 500),
		"a CONNECT of nothing":       {0x10, 0},
		"MQTT 9":                     rawConnect(9, "bad"),
		"a will to a wildcard":       rawPacket(0x10, append(append(append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 6, 0, 60}, rawString("bad")...), rawString("room/#")...), rawString("x")...)),
		"a CONNECT of a huge length": {0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60},
	} {
		conn := w.link(w.identity("bad"))
		_, _ = conn.Write(first)
		if strings.HasPrefix(name, "a CONNECT of a huge") {
			_ = conn.CloseWrite() // else it is merely slow
		}
		if answer := brokerEnds(t, name, conn); len(answer) > 3 && answer[0] == 0x20 && answer[3] == 0 {
			t.Errorf("%s: CONNACK 0", name)
		}
		w.unharmed(name)
	}
	// The same without TLS.
	for _, address := range []string{w.broker, w.discovery} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00 and no TLS"))
		brokerEnds(t, "no TLS", conn)
		_ = conn.Close()
	}
	w.unharmed("no TLS")
}

func TestHugePublish(t *testing.T) {
	t.Parallel()
	w := newWitness(t, "bad")
	const size = 256<<20 - 1 // the largest that the length field can say
	conn := w.link(w.identity("bad"))
	if first, body := exchange(t, conn, rawConnect(5, "bad")); first != 0x20 || body[1] != 0 {
		t.Fatalf("connect: %#x %v", first, body)
	}
	_, _ = conn.Write([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	chunk := make([]byte, 1<<20)
	_ = conn.SetDeadline(time.Now().Add(patience))
	sent := 0
	for sent < size {
		n, err := conn.Write(chunk)
		if sent += n; err != nil {
			break
		}
	}
	if sent > 64<<20 {
		t.Errorf("the broker took %d MiB of a packet that is too large", sent>>20)
	}
	w.unharmed("a publish of 256 MB")
	if kib := w.resident(); kib > 200<<10 {
		t.Errorf("the gateway has %d MiB resident after it", kib>>10)
	}
}

// resident is the memory of the gateway in KiB.
func (g *gateway) resident() (kib int) {
	g.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.cmd.Process.Pid))
	if err != nil {
		g.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		g.t.Fatal(err)
	}
	return kib
}

func TestDeepSubscription(t *testing.T) {
	t.Parallel()
	w := newWitness(t, "bad")
	conn := w.link(w.identity("bad"))
	if first, body := exchange(t, conn, rawConnect(4, "bad")); first != 0x20 || body[1] != 0 {
		t.Fatalf("connect: %#x %v", first, body)
	}
	deep := rawString(strings.Repeat("/", 65535))
	first, body := exchange(t, conn, rawPacket(0x82, append(append([]byte{0, 1}, deep...), 0)))
	if first != 0x90 || len(body) != 3 || body[2] != 0x80 {
		t.Errorf("a subscription of 65,535 levels: %#x %v, want SUBACK 0x80", first, body)
	}
	w.unharmed("a deep subscription")
	if code := w.sensor.subscribe(strings.Repeat("+/", 1000) + "#"); code != 0x8f {
		t.Errorf("a filter of 1,000 levels: %#x, want 0x8F, topic filter invalid", code)
	}
	for _, bad := range []string{"a#", "a+b", "#/a", "a/\x00"} {
		conn := w.link(w.identity("bad"))
		exchange(t, conn, rawConnect(4, "bad"))
		wish := append(append([]byte{0, 1}, rawString(bad)...), 0)
		if first, body := exchange(t, conn, rawPacket(0x82, wish)); first == 0x90 && body[2] < 0x80 {
			t.Errorf("the filter %q is granted", bad)
		}
	}
	w.unharmed("bad filters")
}

// TestKeepAlive: one who falls silent is cut off after one and a half times its
// keep-alive [MQTT-3.1.2-22], and its will is published.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	w.sensor.leave()
	conn := w.link(w.identity("sensor"))
	const second = 1
	connect := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 5, 6, 0, second, 0}, rawString("sensor")...)
	connect = append(append(append(connect, 0), rawString("room/will")...), rawString("silent")...)
	began := time.Now()
	if first, body := exchange(t, conn, rawPacket(0x10, connect)); first != 0x20 || body[1] != 0 {
		t.Fatalf("connect: %#x %v", first, body)
	}
	answer := brokerEnds(t, "a silent client", conn)
	if len(answer) < 3 || answer[0] != 0xe0 || answer[2] != 0x8d {
		t.Errorf("answer % x, want DISCONNECT 0x8D, keep alive timeout", answer)
	}
	if took := time.Since(began); took < 1400*time.Millisecond {
		t.Errorf("cut off after %v, want 1.5 s", took)
	}
	w.display.hears("room/will", "silent")
}

// TestStuckSubscriber: one who stops reading costs the others nothing.
func TestStuckSubscriber(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display", "stuck")
	s.rows(row{From: "sensor", Topic: "room/#", To: []string{"display", "stuck"}})
	s.start()
	sensor, display := s.connect("sensor"), s.connect("display")
	display.subscribe("room/#")
	stuck := s.link(s.identity("stuck"))
	exchange(t, stuck, rawConnect(4, "stuck"))
	exchange(t, stuck, rawPacket(0x82, append(append([]byte{0, 1}, rawString("room/#")...), 1)))
	payload := strings.Repeat("x", 16<<10)
	for n := range 2000 { // 32 MB: more than any socket buffer holds
		if code := sensor.publish("room/x", fmt.Sprint(n, payload)); code != 0 {
			t.Fatalf("publish %d: %#x", n, code)
		}
		display.hears("room/x", fmt.Sprint(n, payload))
	}
}

func TestSecondDaemonOnTheSameData(t *testing.T) {
	t.Parallel()
	w := newWitness(t)
	copied := filepath.Join(t.TempDir(), "group.yaml")
	other := *w.site
	other.file = copied
	text, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	other.write(string(text))
	other.set(filepath.Join(w.dir, "data"), "data")
	other.set(filepath.Join(w.dir, "pki"), "pki", "dir")
	other.set([]string{"127.0.0.1:0"}, "broker", "listen")
	other.set([]string{"127.0.0.1:0"}, "discovery", "listen")
	for _, second := range []*site{w.site, &other} {
		_, stderr, code := second.command("run")
		if code != 1 && code != 2 || !strings.Contains(stderr, "running") {
			t.Errorf("a second daemon ends with %d: %q", code, stderr)
		}
		w.unharmed("a second daemon")
	}
	w.greengate("status") // the socket is still the first one's
	w.stop()
	w.fails(3, "status")
}

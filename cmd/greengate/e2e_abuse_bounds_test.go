package main_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Abuse by a device that keeps to every bound that is counted in messages, and makes each
// of them as dear as it can.

// rawProps is a length of properties and the properties.
func rawProps(props []byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(props))), props...)
}

// rawPublish5 is a QoS 1 PUBLISH of MQTT 5 with properties and an empty payload.
func rawPublish5(topic string, id uint16, props []byte) []byte {
	return rawPacket(0x32, append(binary.BigEndian.AppendUint16(rawString(topic), id), rawProps(props)...))
}

// acked reads the next packet, which must be the PUBACK of a message with that code.
func acked(t *testing.T, conn *tls.Conn, id uint16, code byte) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	first, body, err := readRaw(conn)
	if err != nil || first != 0x40 || binary.BigEndian.Uint16(body) != id || len(body) > 2 && body[2] != code || len(body) == 2 && code != 0 {
		t.Fatalf("message %d is answered %#x % x, %v; want PUBACK %#x", id, first, body, err, code)
	}
}

// keptConnect is a CONNECT of MQTT 5 whose session outlives its connection for an hour.
func keptConnect(thing string) []byte {
	connect := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 5, 0, 0, 60}, rawProps([]byte{0x11, 0, 0, 14, 16})...)
	return rawPacket(0x10, append(connect, rawString(thing)...))
}

// TestAbuseProperties: messages for a device that is away, with as many user properties as
// a packet has room for, and then with as many as are taken. What waits keeps to its bound
// in memory, and so does the next start.
func TestAbuseProperties(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"props", "away", "honest2"}, row{From: "props", Topic: "p/#", To: "away"})
	away := g.entersBy("away", keptConnect("away"))
	if _, err := away.Write(rawSubscribe(1, "p/#")); err != nil {
		t.Fatal(err)
	}
	pings(t, away)
	_ = away.Close()
	conn := g.enters("props")
	props := bytes.Repeat([]byte{0x26, 0, 0, 0, 0}, 800_000)
	n := uint16(many(10, 100))
	for i := range n {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(rawPublish5("p/x", i+1, props)); err != nil {
			t.Fatal(err)
		}
		acked(t, conn, i+1, 0x97)
	}
	g.counted("user-properties", int(n))
	for i := range uint16(400) {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(rawPublish5("p/x", i+1, props[:16_000])); err != nil {
			t.Fatal(err)
		}
		acked(t, conn, i+1, 0)
	}
	g.counted("queue-full", 50)
	g.newcomer("user properties")
	g.withstood(64<<10+96<<10, mostLines)
	g.stop()
	again := &siege{gateway: g.start()}
	if grown := again.peak() - g.calm; grown > 64<<10+96<<10 {
		t.Errorf("the next start has grown by %d MiB", grown>>10)
	}
}

// TestAbuseNeverAcknowledges: clients that read all that they are sent and acknowledge
// nothing. Of what is never sent again, because the session ends with the connection, only
// the heads are kept; what is kept whole keeps to its bound.
func TestAbuseNeverAcknowledges(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"mute", "keeper", "flood", "honest2"},
		row{From: "flood", Topic: "mute/#", To: "mute"}, row{From: "flood", Topic: "kept/#", To: "keeper"})
	flood := g.enters("flood")
	payload := bytes.Repeat([]byte("x"), 2<<20)
	floods := func(to *tls.Conn, topic string) {
		exchange(t, to, rawSubscribe(1, topic))
		_ = to.SetDeadline(time.Time{})
		go func() {
			for err := error(nil); err == nil; {
				_, _, err = readRaw(to)
			}
		}()
		for i := range uint16(100) { // 200 MiB, in less than the 256 places of a window
			_ = flood.SetDeadline(time.Now().Add(patience))
			if _, err := flood.Write(rawPublish(topic, i+1, false, payload)); err != nil {
				t.Fatal(err)
			}
			acked(t, flood, i+1, 0)
		}
	}
	floods(g.enters("mute"), "mute/x")
	if n := g.refused("queue-full"); n > 0 {
		t.Errorf("%d messages of which only the heads are kept are dropped", n)
	}
	floods(g.entersBy("keeper", keptConnect("keeper")), "kept/x")
	g.counted("queue-full", 60)
	g.newcomer("clients that never acknowledge")
	g.withstood(64<<10+160<<10, mostLines) // what is kept and twice that for the collector, the buffers of all, and the disk
}

// TestAbuseDeepTopics: retained messages of a byte, and filters, with as many levels as
// there may be.
func TestAbuseDeepTopics(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"deep", "honest2"}, row{From: "deep", Topic: "#", To: "deep"})
	conn := g.enters("deep")
	levels := strings.Repeat("/a", 250)
	n := many(1500, 10_000)
	for i := range n {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(rawPublish(fmt.Sprint("d/", i, levels), 0, true, []byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	pings(t, conn)
	g.counted("retained-full", n-600)
	wide := strings.Repeat("/"+strings.Repeat("y", 250), 255)
	for i := range uint16(100) {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(rawSubscribe(i+1, fmt.Sprint(i, wide))); err != nil {
			t.Fatal(err)
		}
		if first, body, err := readRaw(conn); err != nil || first != 0x90 || i > 40 && body[3] != 0x97 {
			t.Fatalf("filter %d is answered %#x % x, %v", i, first, body, err)
		}
	}
	g.counted("filter-limit", 60)
	g.newcomer("deep topics")
	g.withstood(32<<10+96<<10, mostLines)
}

// TestAbuseFilterManyTimes: one SUBSCRIBE with the same filter a million times, and then
// many that each match every retained message, for a client that does not read. The honest
// do not notice, and the gateway ends when it is told to.
func TestAbuseFilterManyTimes(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"again", "honest2"}, row{From: "again", Topic: "again/#", To: "again"})
	conn := g.enters("again")
	for i := range 2000 {
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(rawPublish(fmt.Sprint("again/", i, "/a/b/c/d/e/f/g"), 0, true, bytes.Repeat([]byte("x"), 1000))); err != nil {
			t.Fatal(err)
		}
	}
	pings(t, conn)
	const n = 500_000
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(rawSubscribe(1, slices.Repeat([]string{"#"}, n)...)); err != nil {
		t.Fatal(err)
	}
	if first, body, err := readRaw(conn); err != nil || first != 0x90 || len(body) != 3+n || body[3+999] != 1 || body[3+1000] != 0x97 {
		t.Fatalf("the SUBSCRIBE is answered %#x with %d bytes, %v", first, len(body), err)
	}
	pings(t, conn)
	g.counted("filter-limit", n-1000)
	g.answered("a filter many times")
	var filters []string
	for i := range 1 << 9 { // of nine levels each a name or a wildcard
		f := "again"
		for level, name := range []string{"+", "a", "b", "c", "d", "e", "f", "g"} {
			if i>>level&1 == 1 {
				name = "+"
			}
			f += "/" + name
		}
		filters = append(filters, f)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(rawSubscribe(2, filters...)); err != nil {
		t.Fatal(err)
	}
	g.newcomer("filters that match all")
	g.withstood(mostGrowth+64<<10, mostLines)
	g.stop()
}

package main_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// Abuse by a device that has every right to be connected.

// enters connects thing with MQTT 5 and raw packets.
func (g *siege) enters(thing string) *tls.Conn {
	g.t.Helper()
	return g.entersBy(thing, rawConnect(5, thing))
}

// entersBy is enters with another CONNECT.
func (g *siege) entersBy(thing string, connect []byte) *tls.Conn {
	g.t.Helper()
	conn, answer := g.says(g.identity(thing), connect, true)
	if answer[0] != 0x20 || answer[3] != 0 {
		g.t.Fatalf("%s is answered % x", thing, answer)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.CopyN(io.Discard, conn, int64(answer[1])-2); err != nil {
		g.t.Fatal(err)
	}
	return conn
}

// rawPublish is a PUBLISH of MQTT 5 without properties; id is 0 for QoS 0.
func rawPublish(topic string, id uint16, retain bool, payload []byte) []byte {
	first, body := byte(0x30), rawString(topic)
	if id > 0 {
		first, body = 0x32, binary.BigEndian.AppendUint16(body, id)
	}
	if retain {
		first |= 1
	}
	return rawPacket(first, append(append(body, 0), payload...))
}

// rawSubscribe is a SUBSCRIBE of MQTT 5 to filters with QoS 1.
func rawSubscribe(id uint16, filters ...string) []byte {
	body := append(binary.BigEndian.AppendUint16(nil, id), 0)
	for _, f := range filters {
		body = append(append(body, rawString(f)...), 1)
	}
	return rawPacket(0x82, body)
}

// pings waits until the gateway has taken all that was sent on conn, and drops what it
// says before.
func pings(t *testing.T, conn *tls.Conn) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte{0xC0, 0}); err != nil {
		t.Fatal(err)
	}
	for first := byte(0); first != 0xD0; {
		var err error
		if first, _, err = readRaw(conn); err != nil {
			t.Fatal(err)
		}
	}
}

// readRaw reads a packet of any size.
func readRaw(r io.Reader) (first byte, body []byte, err error) {
	one := make([]byte, 1)
	if _, err = io.ReadFull(r, one); err != nil {
		return 0, nil, err
	}
	first, size := one[0], 0
	for shift := 0; ; shift += 7 {
		if _, err = io.ReadFull(r, one); err != nil {
			return 0, nil, err
		}
		if size |= int(one[0]&0x7f) << shift; one[0] < 0x80 {
			break
		}
	}
	body = make([]byte, size)
	_, err = io.ReadFull(r, body)
	return first, body, err
}

// TestAbuseNeverReads: a client whom others write to, at QoS 1, and who reads nothing
// and acknowledges nothing. Its queue ends at its bound, and what is dropped is counted.
func TestAbuseNeverReads(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"stuck", "flood", "honest2"}, row{From: "flood", Topic: "flood/#", To: "stuck"})
	stuck := g.enters("stuck")
	exchange(t, stuck, rawSubscribe(1, "flood/#"))
	flood := g.enters("flood")
	payload := bytes.Repeat([]byte("x"), 256<<10)
	const n = 400 // 100 MiB; 64 wait for one client
	done := make(chan error, 1)
	go func() {
		for i := range n {
			if _, err := flood.Write(rawPublish("flood/x", uint16(i+1), false, payload)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range n {
		_ = flood.SetDeadline(time.Now().Add(patience))
		if first, body, err := readRaw(flood); err != nil || first != 0x40 || binary.BigEndian.Uint16(body) != uint16(i+1) {
			t.Fatalf("the answer to message %d is %#x % x, %v", i, first, body, err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	g.newcomer("a client that never reads")
	g.counted("queue-full", 50)
	g.withstood(64<<10+96<<10, mostLines) // the queue, and twice that for the collector
}

// TestAbuseSubscribeStorm: SUBSCRIBEs with many filters over and over, beyond the bound
// of a session.
func TestAbuseSubscribeStorm(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"storm", "honest2"})
	conn := g.enters("storm")
	const each = 500
	for n := range many(60, 2000) {
		filters := make([]string, each)
		for i := range filters {
			filters[i] = fmt.Sprintf("storm/%d/+/%d/#", n, i)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write(rawSubscribe(1, filters...)); err != nil {
			t.Fatal(err)
		}
		first, body, err := readRaw(conn)
		if err != nil || first != 0x90 || len(body) != 3+each {
			t.Fatalf("SUBSCRIBE %d: %#x, %v", n, first, err)
		}
		want := byte(1)
		if n >= 2 { // the 1,001st filter, and all that follow
			want = 0x97
		}
		for i, code := range body[3:] {
			if code != want {
				t.Fatalf("filter %d of SUBSCRIBE %d: %#x, want %#x", i, n, code, want)
			}
		}
	}
	// And over again with what is there, which grows nothing.
	for n := range many(200, 2000) {
		if _, err := conn.Write(rawSubscribe(uint16(n+1), "storm/0/+/1/#", "storm/1/+/499/#")); err != nil {
			t.Fatal(err)
		}
	}
	pings(t, conn)
	g.newcomer("a storm of subscriptions")
	g.withstood(mostGrowth, mostLines)
}

// TestAbuseLongTopics: topics and filters of 65,535 levels, and of one level that long.
func TestAbuseLongTopics(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"long", "honest2"}, row{From: "long", Topic: "#", To: "long"})
	deep, wide, wild := strings.Repeat("/", 65_535), strings.Repeat("x", 65_535), strings.Repeat("+/", 32_767)+"#"
	conn := g.enters("long")
	for range many(5, 200) {
		for filter, want := range map[string]byte{deep: 0x8f, wild: 0x8f, wide: 1} {
			_ = conn.SetDeadline(time.Now().Add(patience))
			_, _ = conn.Write(rawSubscribe(1, filter))
			if first, body, err := readRaw(conn); err != nil || first != 0x90 || body[3] != want {
				t.Fatalf("a filter that begins with %.4q: %#x % x, %v, want %#x", filter, first, body, err, want)
			}
		}
		_, _ = conn.Write(rawPublish(wide[1:]+"y", 0, true, []byte("kept")))
		pings(t, conn)
	}
	for range many(5, 200) {
		one := g.enters("long") // it takes the session of the one before
		_, _ = one.Write(rawPublish(deep, 1, true, nil))
		answer := brokerEnds(t, "a topic of 65,535 levels", one)
		if !bytes.HasSuffix(answer, []byte{0xe0, 2, 0x90, 0}) && !bytes.HasSuffix(answer, []byte{0xe0, 1, 0x90}) {
			t.Fatalf("a topic of 65,535 levels is answered % x, want DISCONNECT 0x90", answer)
		}
	}
	g.newcomer("long topics")
	g.withstood(mostGrowth, mostLines)
}

// TestAbuseRetained: more retained messages, and larger ones, than are kept.
func TestAbuseRetained(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"hoard", "honest2"}, row{From: "hoard", Topic: "hoard/#", To: "device:*"})
	conn := g.enters("hoard")
	const kept, more = 10_000, 500
	var batch []byte
	for i := range kept + more {
		if batch = append(batch, rawPublish(fmt.Sprintf("hoard/%d", i), 0, true, []byte("x"))...); i%500 == 499 {
			if _, err := conn.Write(batch); err != nil {
				t.Fatal(err)
			}
			pings(t, conn)
			batch = batch[:0]
		}
	}
	g.counted("retained-full", more)
	// 40 MiB over those that are there: 32 are kept.
	large := bytes.Repeat([]byte("x"), 2<<20)
	for i := range 20 {
		_, _ = conn.Write(rawPublish(fmt.Sprintf("hoard/%d", i), 0, true, large))
		pings(t, conn)
	}
	g.counted("retained-full", more+4)
	g.newcomer("a hoard of retained messages")
	g.withstood(32<<10+96<<10, mostLines)
}

// TestAbuseWills: a device that connects with a large will and goes without a word, over
// and over.
func TestAbuseWills(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"martyr", "honest2"}, row{From: "martyr", Topic: "will/#", To: "honest2"})
	martyr := g.identity("martyr")
	n := many(100, 2000)
	for i := range n {
		topic := fmt.Sprintf("will/%d", i)
		if i%2 == 0 {
			topic = "calm/n" // which no row allows it
		}
		body := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 5, 0x2e, 0, 60, 0}, rawString("martyr")...) // QoS 1, retained
		body = append(append(append(body, 0), rawString(topic)...), rawString(strings.Repeat("w", 65_535))...)
		conn, answer := g.says(martyr, rawPacket(0x10, body), true)
		if answer[0] != 0x20 || answer[3] != 0 {
			t.Fatalf("connect %d is answered % x", i, answer)
		}
		_ = conn.NetConn().Close()
	}
	g.newcomer("a flood of wills")
	g.counted("no-row", n/2)
	g.withstood(mostGrowth+32<<10, mostLines) // which is what may be retained
}

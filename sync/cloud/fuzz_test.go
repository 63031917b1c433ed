package cloud

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/message"
)

// How an evil cloud behaves besides what it says; see FuzzCloud.
const (
	evilFive    = 1 << iota // MQTT 5, or else 3.1.1
	evilWelcome             // a good CONNACK comes first
	evilGrants              // SUBSCRIBE is answered
	evilSilent              // at the end it says no more, or else it closes
	evilDeaf                // it reads nothing after CONNECT
	evilSlow                // a second passes between two pieces
)

const evilMessages = 6 // that are sent to it

// FuzzCloud gives a link an evil cloud: any bytes, in pieces of any size, at any pace. The
// link ends by itself, whatever the cloud says or does not say. Each message that was sent
// is told of once, and is told to be in the cloud only if the cloud has sent a PUBACK with
// its id; what the link hands on is what the cloud has sent, in order, and PUBACKs go to
// the cloud for that alone, in that order. Nothing panics or stays.
func FuzzCloud(f *testing.F) {
	for _, s := range evilSeeds {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		for _, mode := range []byte{evilFive, 0, evilFive | evilWelcome | evilGrants, evilWelcome | evilGrants | evilSilent, evilFive | evilWelcome | evilDeaf, evilFive | evilWelcome | evilGrants | evilSlow | evilSilent} {
			f.Add(b, mode, byte(mode))
		}
	}
	f.Fuzz(func(t *testing.T, said []byte, mode, step byte) {
		if len(said) > 16<<10 {
			t.Skip("a long talk costs time and shows nothing more")
		}
		synctest.Test(t, func(t *testing.T) {
			e := newEvil(t, said, mode, step)
			e.run()
			e.judge()
		})
	})
}

// evil is a link and its cloud.
type evil struct {
	t    *testing.T
	said []byte
	mode byte
	step int
	link *Link
	o    *outcome

	taken []string // the messages that Send took; of its goroutine

	mu       sync.Mutex
	heard    []*Publish        // by the link
	ids      map[string]uint16 // of the messages that came to the cloud
	pubacked []uint16          // by the link
}

func newEvil(t *testing.T, said []byte, mode, step byte) *evil {
	e := &evil{t: t, said: said, mode: mode, step: max(int(step), 1), o: newOutcome(), ids: map[string]uint16{}}
	version := MQTT311
	if mode&evilFive != 0 {
		version = MQTT5
	}
	var err error
	e.link, err = New(Options{
		Endpoint: endpoint, Port: 8883, Core: "gw", Version: version, Rate: DefaultConfig().Rate,
		Subscriptions: func() []Subscription { return []Subscription{{"a/#", 1}, {"$aws/things/+/shadow/#", 1}} },
		Receive: func(p *Publish, ack func()) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.heard = append(e.heard, p)
			ack()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run makes one connection and has it end.
func (e *evil) run() {
	ours, theirs := net.Pipe()
	var all sync.WaitGroup
	defer all.Wait()
	defer theirs.Close()
	all.Go(func() { e.speak(theirs) })
	c, err := e.link.open(ours, ours, false)
	if err != nil {
		ours.Close()
		return
	}
	sending, stop := context.WithCancel(e.t.Context())
	defer stop()
	all.Go(func() { e.send(sending) })
	start := time.Now()
	if _, err := e.link.use(e.t.Context(), c); err == nil || time.Since(start) > 48*time.Hour {
		e.t.Errorf("the link ended after %v with %v", time.Since(start), err)
	}
}

// send sends messages once the link is connected, until ctx ends.
func (e *evil) send(ctx context.Context) {
	for changed := e.link.Changed(); !e.link.Connected(); changed = e.link.Changed() {
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
	for i := range evilMessages {
		name, topic := fmt.Sprint(i), "t"
		if i%2 == 1 {
			topic = "$aws/things/T/shadow/get"
		}
		if err := e.link.Send(ctx, &Publish{Topic: topic, Payload: []byte(name)}, e.o.done(name)); err == nil {
			e.taken = append(e.taken, name)
		}
	}
}

// speak is the cloud.
func (e *evil) speak(conn net.Conn) {
	r := bufio.NewReader(conn)
	if _, err := readPacket(r, 1<<20); err != nil {
		return
	}
	answers := make(chan []byte, 8)
	var all sync.WaitGroup
	defer all.Wait()
	if e.mode&evilDeaf == 0 {
		all.Go(func() { e.listen(r, answers) })
	}
	if e.mode&evilWelcome != 0 {
		conn.Write(e.welcome())
	}
	if e.mode&evilGrants != 0 {
		select {
		case b := <-answers:
			conn.Write(b)
		case <-time.After(time.Second): // no CONNACK, no SUBSCRIBE
		}
	}
	for said, n := e.said, 0; n < len(said); said = said[n:] {
		n = min(len(said), e.step*16)
		if _, err := conn.Write(said[:n]); err != nil {
			return
		}
		if e.mode&evilSlow != 0 {
			time.Sleep(time.Second)
		}
		if n == len(said) {
			break
		}
	}
	if e.mode&evilSilent == 0 {
		time.Sleep(time.Second)
		conn.Close()
	}
}

func (e *evil) welcome() []byte {
	if e.mode&evilFive != 0 {
		return []byte{0x20, 3, 0, 0, 0}
	}
	return []byte{0x20, 2, 0, 0}
}

// listen takes down what the link says.
func (e *evil) listen(r *bufio.Reader, answers chan<- []byte) {
	for {
		p, err := readPacket(r, 1<<20)
		if err != nil {
			return
		}
		body, _ := bodyOf(p)
		e.mu.Lock()
		switch p[0] >> 4 {
		case 3:
			if m, ok := parsePublish(p, e.mode&evilFive != 0); ok {
				e.ids[string(m.payload)] = m.id
			}
		case 4:
			e.pubacked = append(e.pubacked, binary.BigEndian.Uint16(body))
		case 8:
			suback := []byte{0x90, 4, body[0], body[1], 1, 1}
			if e.mode&evilFive != 0 {
				suback = []byte{0x90, 5, body[0], body[1], 0, 1, 1}
			}
			select {
			case answers <- suback:
			default:
			}
		}
		e.mu.Unlock()
	}
}

// judge compares what the link has told with what the cloud has said.
func (e *evil) judge() {
	published, acked := e.sayings()
	for i, name := range e.taken {
		err := e.o.of(e.t, name)
		id, came := e.ids[name]
		if !came {
			id = uint16(i + 1) // which the cloud can guess, before the message is there
		}
		switch {
		case err == nil && !acked[id]:
			e.t.Errorf("message %s with the id %d is said to be in the cloud, which has acknowledged %v", name, id, acked)
		case err != nil && !errors.Is(err, ErrLost) && !errors.As(err, new(*Refused)):
			e.t.Errorf("message %s ended with %v", name, err)
		}
	}
	if e.o.len() != len(e.taken) {
		e.t.Errorf("%d messages were taken, and %d told of", len(e.taken), e.o.len())
	}
	if len(e.heard) > len(published) {
		e.t.Fatalf("%d messages were handed on, and %d came", len(e.heard), len(published))
	}
	var ids []uint16
	for i, p := range e.heard {
		want := published[i]
		if p.Topic != want.topic || !bytes.Equal(p.Payload, want.payload) || p.QoS != want.qos || p.Retain != want.retain {
			e.t.Errorf("handed on was %+v, and %+v came", p, want)
		}
		if p.Properties != nil && !legal(p.Properties) {
			e.t.Errorf("handed on were properties that no packet can carry: %+v", p.Properties)
		}
		if want.qos > 0 {
			ids = append(ids, want.id)
		}
	}
	if len(e.pubacked) > len(ids) || !slices.Equal(e.pubacked, ids[:len(e.pubacked)]) {
		e.t.Errorf("the link acknowledged %v of %v", e.pubacked, ids)
	}
}

// saying is a PUBLISH of the cloud.
type saying struct {
	topic   string
	payload []byte
	id      uint16
	qos     byte
	retain  bool
}

// sayings are what an ideal reader finds in the words of the cloud: what it publishes, and
// the ids that it acknowledges with success.
func (e *evil) sayings() (published []saying, acked map[uint16]bool) {
	acked = map[uint16]bool{}
	r := bufio.NewReader(bytes.NewReader(e.said))
	for {
		p, err := readPacket(r, 1<<20)
		if err != nil {
			return published, acked
		}
		body, _ := bodyOf(p)
		switch p[0] >> 4 {
		case 3:
			if m, ok := parsePublish(p, e.mode&evilFive != 0); ok {
				published = append(published, m)
			}
		case 4:
			if len(body) >= 2 && (len(body) == 2 || e.mode&evilFive == 0 || body[2] < 0x80) {
				acked[binary.BigEndian.Uint16(body)] = true
			}
		}
	}
}

// legal tells whether a packet can carry properties [MQTT-1.5.4-1, -2, -3.3.2-14].
func legal(p *message.Properties) bool {
	texts := []string{p.ContentType, p.ResponseTopic}
	for _, u := range p.User {
		texts = append(texts, u.Name, u.Value)
	}
	for _, text := range texts {
		if strings.ToValidUTF8(text, "") != text || strings.Contains(text, "\x00") {
			return false
		}
	}
	return !strings.ContainsAny(p.ResponseTopic, "+#")
}

func bodyOf(packet []byte) (body []byte, ok bool) {
	_, n := binary.Uvarint(packet[1:])
	if n <= 0 {
		return nil, false
	}
	return packet[1+n:], true
}

// parsePublish reads a PUBLISH by the letter of the standard.
func parsePublish(packet []byte, five bool) (m saying, ok bool) {
	body, _ := bodyOf(packet)
	r := bytes.NewBuffer(body)
	u16 := func() uint16 {
		var b [2]byte
		copy(b[:], r.Next(2))
		return binary.BigEndian.Uint16(b[:])
	}
	n := int(u16())
	m.topic = string(r.Next(n))
	if m.qos = packet[0] >> 1 & 3; m.qos > 0 {
		m.id = u16()
	}
	m.retain = packet[0]&1 != 0
	if five {
		n, err := binary.ReadUvarint(r)
		if err != nil || n > uint64(r.Len()) {
			return m, false
		}
		r.Next(int(n))
	}
	m.payload, _ = io.ReadAll(r)
	return m, len(m.topic) == n && (m.qos == 0 || m.id > 0)
}

var evilSeeds = []string{
	"",
	"2003000000", "20020000", "200b0100082100142700000fff", "2003008700", "20020005", "2003000000" + "9005ffff000101" + "40020001",
	"40020001" + "40020002" + "40020003", "4004000197" + "00" + "4003000297" + "40020003", "4002ffff" + "40020000" + "40020007",
	"3208" + "0003612f62" + "0007" + "00" + "3209" + "0003612f62" + "0007" + "00" + "78",
	"3206" + "0001740009" + "78" + "3206" + "000174000a" + "79" + "40020002",
	"3003000574" + "d000", "c000" + "d000", "e0028e00" + "40020001", "e000", "9003ffff00", "9005ffff008787", "b003ffff00", "34060001740009" + "78",
	"301a" + "0018" + hex.EncodeToString([]byte("$aws/things/T/shadow/get")), "3208000174000903230001",
	"300b" + "000174" + "0726" + "0001ff" + "0001" + "76", "300a" + "000174" + "06" + "08" + "0003612f23", "320500017400" + "0000", "30ffffff7f", "40ff",
}

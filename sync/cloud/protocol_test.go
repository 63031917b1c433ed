package cloud

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A cloud that breaks the protocol costs the connection, is told, and never
// harms the gateway.
func TestBrokenCloud(t *testing.T) {
	subscribed := func(p *peer, answer string) { p.welcome(); p.read(); p.send(answer); p.rest() }
	for _, c := range []struct {
		name   string
		script func(p *peer)
		text   string
	}{
		{"no CONNACK but another packet", func(p *peer) { p.read(); p.send("4002 0001"); p.rest() }, "wait for CONNACK: another packet came"},
		{"closes without CONNACK", func(p *peer) { p.read() }, "does its policy allow iot:Connect for client/gw?"},
		{"never a CONNACK", func(p *peer) { p.rest() }, "wait for CONNACK: no answer within 300ms"},
		{"not authorized", func(p *peer) { p.read(); p.send("2003 00 87 00"); p.rest() },
			"the cloud refused the connection: not authorized (0x87) (does the policy"},
		{"no QoS 1", func(p *peer) { p.read(); p.send("2005 00 00 02 2400"); p.rest() }, "the server takes no QoS 1"},
		{"no SUBACK", func(p *peer) { p.welcome(); p.rest() }, `subscribe to "a/#" and others: no answer came within 300ms`},
		{"closes at SUBSCRIBE", func(p *peer) { p.welcome(); p.read() }, "does the policy of the core allow iot:Subscribe?"},
		{"SUBACK of another", func(p *peer) { subscribed(p, "9004 0001 00 01") }, "the SUBACK of the cloud does not fit"},
		{"SUBACK too long", func(p *peer) { subscribed(p, "9005 ffff 00 01 01") }, "the SUBACK of the cloud does not fit"},
		{"second CONNACK", func(p *peer) { subscribed(p, "9004 ffff 00 01 2003 00 00 00") }, "a second CONNACK"},
		{"second SUBACK", func(p *peer) { subscribed(p, "9004 ffff 00 01 9004 ffff 00 01 9004 ffff 00 01") }, "nobody asked for this"},
		{"malformed", func(p *peer) { subscribed(p, "9004 ffff 00 01 3003 000574") }, "read a packet: "},
		{"huge", func(p *peer) { subscribed(p, "9004 ffff 00 01 30ffffff7f") }, "more than the 196608 allowed"},
		{"disconnects", func(p *peer) { subscribed(p, "9004 ffff 00 01 e002 98 00") }, "the cloud closed the connection: administrative action (0x98)"},
		{"closes", func(p *peer) { p.welcome(); p.read(); p.send("9004 ffff 00 01") }, "the cloud closed the connection without a word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newFake(t, c.script).options()
			o.Subscriptions = func() []Subscription { return []Subscription{{"a/#", 1}} }
			untilError(t, run(t, o), c.text)
		})
	}
}

func TestAcksLeaveInOrder(t *testing.T) {
	packets := make(chan string, 10)
	f := newFake(t, func(p *peer) {
		p.welcome()
		p.send("3206 000174 0001 00", "3206 000174 0002 00", "3004 000174 00", "3206 000174 0003 00")
		for {
			b := p.read()
			if b == nil {
				return
			}
			packets <- hex.EncodeToString(b)
		}
	})
	o := f.options()
	acks := make(chan func(), 10)
	o.Receive = func(_ *Publish, ack func()) { acks <- ack }
	run(t, o)
	var all []func()
	for range 4 {
		all = append(all, <-acks)
	}
	for _, i := range []int{3, 1, 2, 1} {
		all[i]()
	}
	select {
	case b := <-packets:
		t.Fatalf("%s before the first message was safe", b)
	case <-time.After(20 * time.Millisecond):
	}
	all[0]()
	for _, want := range []string{"400400010000", "400400020000", "400400030000"} {
		if got := <-packets; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A cloud that sends on without PUBACKs is told 0x93.
func TestReceiveMaximum(t *testing.T) {
	last := make(chan string, 1)
	f := newFake(t, func(p *peer) {
		p.welcome()
		for i := range 101 {
			p.send(fmt.Sprintf("3206 000174 %04x 00", i+1))
		}
		last <- hex.EncodeToString(p.rest())
	})
	o := f.options()
	o.Timing.Retry = Backoff{time.Hour, time.Hour}
	o.Receive = func(*Publish, func()) {}
	l := run(t, o)
	if got := <-last; got != "e0029300" {
		t.Errorf("last word %s", got)
	}
	untilNot(t, l, "sends more than 100 messages without PUBACK")
}

func untilNot(t *testing.T, l *Link, text string) {
	t.Helper()
	until(t, l, text, func(s Status) bool { return strings.Contains(s.LastError, text) })
}

// Messages without PUBACK at the end of Run have a moment for it; then the link
// takes its leave with DISCONNECT.
func TestLinger(t *testing.T) {
	got, hold := make(chan []byte, 1), make(chan struct{})
	f := newFake(t, func(p *peer) {
		p.welcome()
		id := p.read()
		<-hold
		p.send("4002" + hex.EncodeToString(id[5:7]))
		got <- p.rest()
	})
	l, err := New(f.options())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	untilConnected(t, l)
	done := make(chan error, 2)
	if err := l.Send(ctx, &Publish{Topic: "t"}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	cancel()
	f1 := l.conn.Load().flight
	until(t, l, "closed to new messages", func(Status) bool {
		f1.mu.Lock()
		defer f1.mu.Unlock()
		return f1.closed
	})
	if err := l.Send(context.Background(), &Publish{Topic: "t"}, func(error) { t.Error("done of a message not sent") }); !errors.Is(err, ErrOffline) {
		t.Errorf("Send at the end: %v", err)
	}
	close(hold)
	if err := <-done; err != nil {
		t.Errorf("done %v", err)
	}
	if last := hex.EncodeToString(<-got); last != "e0020000" {
		t.Errorf("last word %s", last)
	}
	if err := <-ended; err != nil || l.Connected() {
		t.Errorf("Run returned %v", err)
	}
}

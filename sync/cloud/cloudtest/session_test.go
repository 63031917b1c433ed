package cloudtest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// leave sends DISCONNECT and waits until the cloud has taken it.
func (w *wire) leave(c *bubble) {
	w.t.Helper()
	w.send([]byte{0xE0, 0})
	synctest.Wait()
	if s := c.Status(); len(s.Clients) > 0 && s.Clients[0].Connected {
		w.t.Fatal("still connected")
	}
}

// tell publishes to t from the cloud.
func (b *bubble) tell(payload string) {
	b.t.Helper()
	if err := b.Publish("t", []byte(payload), 1, false); err != nil {
		b.t.Fatal(err)
	}
}

func TestSessionExpires(t *testing.T) {
	for name, connect := range map[string][]byte{"3.1.1": keep4, "5": keep5} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
				w, present := c.wire(connect)
				if present {
					t.Error("a session before the first connection")
				}
				w.leave(c)
				time.Sleep(59 * time.Minute)
				if w, present = c.wire(connect); !present {
					t.Error("no session after 59 minutes")
				}
				w.leave(c)
				time.Sleep(61 * time.Minute)
				if _, present = c.wire(connect); present {
					t.Error("a session after 61 minutes")
				}
			})
		})
	}
}

func TestQueueDrainsAtTenASecond(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(keep4)
		w.subscribeT()
		w.leave(c)
		for i := range 50 {
			c.tell(fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		w, _ = c.wire(keep4)
		begun := time.Now()
		for i := range 50 {
			if _, _, payload := w.hears(true); payload != fmt.Sprint(i) {
				t.Fatalf("heard %s, want %d", payload, i)
			}
		}
		if took := time.Since(begun); took < 3900*time.Millisecond || took > 4100*time.Millisecond {
			t.Errorf("50 stored messages took %v, want 4 s (10 at once)", took)
		}
	})
}

func TestStoredMessagesAreKeptAnHour(t *testing.T) {
	inBubble(t, cloudtest.Options{Limits: cloudtest.Limits{SessionExpiry: 24 * time.Hour}}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(keep4)
		w.subscribeT()
		w.leave(c)
		c.tell("old")
		time.Sleep(50 * time.Minute)
		c.tell("new")
		time.Sleep(20 * time.Minute)
		w, _ = c.wire(keep4)
		if _, _, payload := w.hears(true); payload != "new" {
			t.Errorf("heard %q, want only what is younger than an hour", payload)
		}
	})
}

func TestUnacknowledgedComesAgain(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(keep4)
		w.subscribeT()
		for i := range 3 {
			c.tell(fmt.Sprint(i))
		}
		w.hears(false)
		_, taken, _ := w.hears(false)
		w.hears(false)
		w.send([]byte{0x40, 2, byte(taken >> 8), byte(taken)}) // number 1 only
		synctest.Wait()
		c.Cut("w", true)
		time.Sleep(time.Second)
		w, present := c.wire(keep4)
		if !present {
			t.Error("the session is lost")
		}
		var got []string
		for range 2 {
			first, _, payload := w.hears(true)
			if first&0x08 != 0 {
				t.Error("the DUP flag is set, which AWS does not do")
			}
			got = append(got, payload)
		}
		if !slices.Equal(got, []string{"0", "2"}) {
			t.Errorf("heard %v again, want 0 and 2", got)
		}
	})
}

func TestWindowToTheClient(t *testing.T) {
	inBubble(t, cloudtest.Options{Limits: cloudtest.Limits{PublishRate: -1}}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(connect4)
		w.subscribeT()
		for i := range 150 {
			c.tell(fmt.Sprint(i))
		}
		for range 100 {
			w.hears(false)
		}
		w.quiet(time.Second)
		w.send([]byte{0x40, 2, 0, 1})
		if _, _, payload := w.hears(false); payload != "100" {
			t.Errorf("heard %s after one PUBACK, want 100", payload)
		}
	})
}

func TestMessageExpiry(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(keep4)
		w.subscribeT()
		w.leave(c)
		minute := uint32(60)
		if err := c.PublishProperties("t", []byte("expires"), 1, false, &cloudtest.Properties{MessageExpiry: &minute}); err != nil {
			t.Fatal(err)
		}
		c.tell("stays")
		time.Sleep(2 * time.Minute)
		w, _ = c.wire(keep4)
		if _, _, payload := w.hears(true); payload != "stays" {
			t.Errorf("heard %q", payload)
		}
	})
}

func TestSessionLost(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(keep5)
		w.leave(c)
		time.Sleep(time.Second)
		c.Change(func(f *cloudtest.Faults) { f.SessionLost = 1 })
		w, present := c.wire(keep5)
		if present {
			t.Error("the session is there")
		}
		w.leave(c)
		time.Sleep(time.Second)
		if _, present := c.wire(keep5); !present {
			t.Error("the fault struck twice")
		}
	})
}

func TestWillAndItsDelay(t *testing.T) {
	const will5 = "\x10\x1c\x00\x04MQTT\x05\x0c\x00\x3c\x05\x11\x00\x00\x00\x64" + // will QoS 1, expiry 100 s
		"\x00\x01w\x00\x00\x01t\x00\x03bye"
	const delayed = "\x10\x21\x00\x04MQTT\x05\x0c\x00\x3c\x05\x11\x00\x00\x00\x64" +
		"\x00\x01w\x05\x18\x00\x00\x00\x05\x00\x01t\x00\x03bye" // will delay 5 s
	for name, x := range map[string]struct {
		connect string
		end     func(*wire, *bubble)
		want    time.Duration // negative: no will
	}{
		"cut":          {will5, func(_ *wire, c *bubble) { c.Cut("w", false) }, 0},
		"goodbye":      {will5, func(w *wire, c *bubble) { w.leave(c) }, -1},
		"with will":    {will5, func(w *wire, _ *bubble) { w.send([]byte{0xE0, 1, 4}) }, 0},
		"after a time": {delayed, func(_ *wire, c *bubble) { c.Cut("w", true) }, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
				if err := c.Publish("t", []byte("before"), 1, true); err != nil {
					t.Fatal(err)
				}
				watcher, _ := c.wire([]byte("\x10\x0d\x00\x04MQTT\x04\x02\x00\xff\x00\x01x"))
				watcher.subscribeT()
				watcher.hears(true) // what is retained
				w, _ := c.wire([]byte(x.connect))
				begun := time.Now()
				x.end(w, c)
				if x.want < 0 {
					watcher.quiet(time.Minute)
					return
				}
				if _, _, payload := watcher.hears(true); payload != "bye" || time.Since(begun) != x.want {
					t.Errorf("heard %q after %v", payload, time.Since(begun))
				}
			})
		})
	}
}

func TestPresenceTellsWhy(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	watcher := connect(t, c, "watcher")
	watcher.subscribe("$aws/events/presence/+/core", "$aws/events/subscriptions/+/core")
	expect := func(topic string, parts ...string) {
		t.Helper()
		p := watcher.hears()
		if p.Topic != "$aws/events/"+topic+"/core" {
			t.Fatalf("event on %s, want %s", p.Topic, topic)
		}
		for _, part := range parts {
			if !strings.Contains(string(p.Payload), part) {
				t.Errorf("event %s holds no %s", p.Payload, part)
			}
		}
	}
	x := connect(t, c, "core")
	expect("presence/connected", `"clientId":"core"`, `"eventType":"connected"`, `"versionNumber":1`, `"ipAddress":"127.0.0.1"`)
	x.subscribe("a", "b")
	expect("subscriptions/subscribed", `"topics":["a","b"]`)
	c.Disconnect("core", 0x98)
	expect("presence/disconnected", `"disconnectReason":"SERVER_INITIATED_DISCONNECT"`, `"clientInitiatedDisconnect":false`)
	x.endsWith(0x98)
	x = connect(t, c, "core")
	expect("presence/connected", `"versionNumber":2`)
	c.Cut("core", true)
	expect("presence/disconnected", `"disconnectReason":"CONNECTION_LOST"`)
	x.endsWith(0)
}

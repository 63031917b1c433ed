package cloudtest_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// Each fault, as a client feels it.

func TestPubackFaults(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(connect5)
		id := uint16(0)
		publish := func() {
			id++
			w.send(publishPacket(id, "\x00", fmt.Sprint(id)))
		}
		set := func(name, value string) {
			t.Helper()
			if err := c.SetFault(name, value); err != nil {
				t.Fatal(err)
			}
		}

		set("puback-delay", "3s")
		begun := time.Now()
		publish()
		publish()
		w.acks(2)
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("late PUBACKs came after %v, want 3 s", took)
		}
		publish()
		set("puback-delay", "off")
		publish() // not before the one that is late
		for _, want := range []byte{3, 4} {
			if _, body := w.packet(); body[1] != want {
				t.Errorf("PUBACK of %d, want %d: in order", body[1], want)
			}
		}

		set("puback-lost", "1")
		publish()
		w.quiet(time.Minute / 2)
		publish()
		w.acks(1)
		if n := c.Status().Accepted; n != 6 {
			t.Errorf("%d accepted: one without PUBACK is taken all the same", n)
		}

		set("puback-twice", "1")
		publish()
		w.acks(2)

		set("puback-withheld", "on")
		publish()
		w.quiet(time.Minute / 2)
		set("puback-withheld", "off")
		w.acks(1)

		set("puback-code", "0x83:1")
		publish()
		if got := w.acks(1); got[0x83] != 1 {
			t.Errorf("PUBACKs %v, want 0x83", got)
		}
		set("throttle", "on")
		publish()
		publish()
		if got := w.acks(2); got[0x97] != 2 {
			t.Errorf("PUBACKs %v, want 0x97", got)
		}
		set("throttle", "off")
		set("publish-lost", "1")
		publish()
		publish()
		w.acks(1)
		if s := c.Status(); s.Accepted != 9 || s.Refused != 3 || s.Discarded != 1 {
			t.Errorf("%d accepted, %d refused, %d discarded", s.Accepted, s.Refused, s.Discarded)
		}
	})
}

func TestDisconnectAfter(t *testing.T) {
	c := start(t, cloudtest.Options{})
	c.Change(func(f *cloudtest.Faults) { f.DisconnectAfter, f.DisconnectCode = 3, 0x97 })
	w := wireClient(t, c, connect5)
	for i := range 3 {
		w.send(publishPacket(uint16(i+1), "\x00", "x"))
		if i < 2 {
			w.acks(1)
		}
	}
	if first, body := w.packet(); first != 0xE0 || body[0] != 0x97 {
		t.Errorf("packet %#x %x, want DISCONNECT 0x97", first, body)
	}
	if n := c.Status().Accepted; n != 3 {
		t.Errorf("%d accepted, want 3: the last without PUBACK", n)
	}
	if n := c.Faults().DisconnectAfter; n != 0 {
		t.Error("the fault strikes again")
	}
}

func TestPoison(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	if err := c.SetFault("poison", "bad/#=boom"); err != nil {
		t.Fatal(err)
	}
	x := connect(t, c, "core")
	x.publish("bad/1", "harmless")
	x.publish("good", "boom")
	go x.Publish(t.Context(), pahoPublish("bad/1", "a boom here"))
	x.endsWith(0)
	if n := c.Status().Accepted; n != 2 {
		t.Errorf("%d accepted", n)
	}
	x = connect(t, c, "core")
	c.Heal()
	x.publish("bad/1", "boom")
}

func TestConnackFault(t *testing.T) {
	c := start(t, cloudtest.Options{})
	if err := c.SetFault("connack", "0x97:1"); err != nil {
		t.Fatal(err)
	}
	if x, err := tryConnect(t, dial(t, c, "core"), "core"); err == nil || x.connack.ReasonCode != 0x97 {
		t.Errorf("CONNACK %+v (%v), want 0x97", x.connack, err)
	}
	connect(t, c, "core")
}

func TestDeliveryFaults(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	x := connect(t, c, "core")
	x.subscribe("t")
	tell := func(payload string) {
		if err := c.Publish("t", []byte(payload), 1, false); err != nil {
			t.Fatal(err)
		}
	}
	c.Change(func(f *cloudtest.Faults) { f.DeliverTwice = 1 })
	tell("twice")
	c.Change(func(f *cloudtest.Faults) { f.DeliverLost = 1 })
	tell("lost")
	c.Change(func(f *cloudtest.Faults) { f.DeliverSwapped = 1 })
	tell("second")
	tell("first")
	x.hearsOnly(c, "t twice", "t twice", "t first", "t second")
}

func TestPulledPlug(t *testing.T) {
	c := start(t, cloudtest.Options{Limits: cloudtest.NoRates()})
	w := wireClient(t, c, connect5)
	w.send(publishPacket(1, "\x00", "before"))
	w.acks(1)
	c.PullPlug()
	w.send(publishPacket(2, "\x00", "into the dark"))
	w.quiet(100 * time.Millisecond)
	raw, err := net.Dial("tcp", c.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	(&wire{raw, t}).quiet(100 * time.Millisecond) // no FIN, no RST
	c.Disconnect("w", 0x98)
	w.quiet(100 * time.Millisecond) // nor from the cloud's own end
	c.PlugIn()
	if first, _ := w.packet(); first != 0 {
		t.Errorf("packet %#x on a connection of before", first)
	}
	if n := c.Status().Accepted; n != 1 {
		t.Errorf("%d accepted", n)
	}
	w = wireClient(t, c, connect5)
	w.send(publishPacket(1, "\x00", "after"))
	w.acks(1)
}

func TestCloudNoticesADeadClient(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(keep4)
		c.PullPlug()
		time.Sleep(91 * time.Second)
		synctest.Wait()
		if s := c.Status(); len(s.Clients) != 1 || s.Clients[0].Connected {
			t.Errorf("clients %+v after 1.5 keep-alives in the dark", s.Clients)
		}
		w.quiet(time.Second)
	})
}

func TestStallHoldsBack(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(connect5)
		c.Change(func(f *cloudtest.Faults) { f.Stall = true })
		w.send(publishPacket(1, "\x00", "x"))
		w.quiet(30 * time.Second)
		c.Change(func(f *cloudtest.Faults) { f.Stall = false })
		w.acks(1) // nothing was lost
	})
}

func TestSlowLink(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		w, _ := c.wire(connect5)
		c.Change(func(f *cloudtest.Faults) { f.Latency = 100 * time.Millisecond })
		begun := time.Now()
		for i := range 50 { // one round trip for all: the line is long, not narrow
			w.send(publishPacket(uint16(i+1), "\x00", "x"))
		}
		w.acks(50)
		if took := time.Since(begun); took != 200*time.Millisecond {
			t.Errorf("50 publishes took %v, want one round trip of 200 ms", took)
		}
		c.Change(func(f *cloudtest.Faults) { f.Latency, f.Bandwidth = 0, 10_000 })
		begun = time.Now()
		w.send(publishPacket(1, "\x00", strings.Repeat("x", 50_000)))
		w.acks(1)
		if took := time.Since(begun); took < 5*time.Second || took > 5100*time.Millisecond {
			t.Errorf("50 KB at 10 KB/s took %v", took)
		}
	})
}

func TestClock(t *testing.T) {
	inBubble(t, cloudtest.Options{}, func(t *testing.T, c *bubble) {
		if err := c.SetFault("clock", "-48h"); err != nil {
			t.Fatal(err)
		}
		if got, want := c.Now(), time.Now().Add(-48*time.Hour); !got.Equal(want) {
			t.Errorf("the cloud's time is %v, want %v", got, want)
		}
		answer, err := c.UpdateShadow("lamp", "", []byte(`{"state":{"reported":{"on":true}}}`))
		if want := fmt.Sprintf(`"timestamp":%d`, c.Now().Unix()); err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("answer %s (%v), want %s", answer, err, want)
		}
	})
}

func TestFaultNames(t *testing.T) {
	c := start(t, cloudtest.Options{NoData: true})
	example := map[string]string{
		"on|off": "on", "COUNT": "3", "DURATION": "200ms", "BYTES": "1000", "CODE[:COUNT]": "0x97:2",
		"CODE:N": "0x97:2", "STATUS[:COUNT]": "429", "FILTER[=TEXT]": "a/#=x",
	}
	for _, f := range cloudtest.FaultNames() {
		before := fmt.Sprintf("%+v", c.Faults())
		if err := c.SetFault(f.Name, example[f.Value]); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
		if fmt.Sprintf("%+v", c.Faults()) == before {
			t.Errorf("%s changes nothing", f.Name)
		}
		if err := c.SetFault(f.Name, "nonsense:value:-1"); err == nil && f.Name != "poison" {
			t.Errorf("%s takes nonsense", f.Name)
		}
		if err := c.SetFault(f.Name, "off"); err != nil || fmt.Sprintf("%+v", c.Faults()) != before {
			t.Errorf("%s off leaves %+v (%v)", f.Name, c.Faults(), err)
		}
	}
	if err := c.SetFault("gremlins", "on"); err == nil {
		t.Error("an unknown fault was taken")
	}
}

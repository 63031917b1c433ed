package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/eclipse/paho.golang/paho"
	"gopkg.in/yaml.v3"
)

// What the table allows passes, and nothing else, whatever the door.

const notAuthorized = 0x87

func TestMessagePassesAlongItsRow(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display", "stranger")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	g := s.start()
	sensor, display, stranger := s.connect("sensor"), s.connect("display"), s.connect("stranger")
	for _, d := range []*device{display, stranger, sensor} {
		if code := d.subscribe("#"); code != 1 {
			t.Errorf("%s subscribes to #: %#x, want granted QoS 1: what the table does not allow is granted and never fed", d.thing, code)
		}
	}

	if code := sensor.publish("room/temperature", "21.0"); code != 0 {
		t.Errorf("publish along the row: %#x, want success", code)
	}
	display.hears("room/temperature", "21.0")
	for _, forbidden := range []struct {
		from  *device
		topic string
	}{
		{sensor, "roomy/temperature"}, {sensor, "Room/temperature"}, {sensor, "/room/temperature"},
		{display, "room/temperature"}, {stranger, "room/temperature"},
	} {
		if code := forbidden.from.publish(forbidden.topic, "forbidden"); code != notAuthorized {
			t.Errorf("%s publishes to %s: %#x, want %#x", forbidden.from.thing, forbidden.topic, code, notAuthorized)
		}
	}
	sensor.publish("room", "also matched by room/#")
	display.hears("room", "also matched by room/#")

	g.counts(ledger{Accepted: 7, Delivered: 2, Refused: 5})
	// A row from the sensor to the stranger: had anything been kept for it, it
	// would come first now.
	s.rows(row{From: "sensor", Topic: "room/#", To: []string{"display", "stranger"}})
	g.reload()
	sensor.publish("room/last", "for both")
	display.hears("room/last", "for both")
	stranger.hears("room/last", "for both")
	g.counts(ledger{Accepted: 9, Delivered: 4, Refused: 5})
	if len(sensor.heard) > 0 {
		t.Errorf("the sensor heard %v, though no row leads to it", <-sensor.heard)
	}
}

func TestRowsWithTemplatesLabelsAndLists(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add("lamp-1", "--label", "lamp")
	s.add("lamp-2", "--label", "lamp")
	s.add("switch")
	s.rows(
		row{From: "switch", Topic: "cmd/${to}/#", To: "label:lamp"},
		row{From: "label:lamp", Topic: "state/${from}", To: "device:*"},
	)
	s.start()
	one, two, sw := s.connect("lamp-1"), s.connect("lamp-2"), s.connect("switch")
	for _, d := range []*device{one, two, sw} {
		d.subscribe("cmd/#")
		d.subscribe("state/#")
	}
	sw.publish("cmd/lamp-1/on", "1")
	sw.publish("cmd/lamp-2/on", "2")
	one.hears("cmd/lamp-1/on", "1")
	two.hears("cmd/lamp-2/on", "2")
	if code := one.publish("state/lamp-2", "a lie"); code != notAuthorized {
		t.Errorf("lamp-1 publishes the state of lamp-2: %#x, want %#x", code, notAuthorized)
	}
	one.publish("state/lamp-1", "on")
	for _, d := range []*device{one, two, sw} { // the sender is one of device:*
		d.hears("state/lamp-1", "on")
	}
}

func TestRetainedObeysTheTable(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display", "late", "stranger")
	both := row{From: "sensor", Topic: "room/#", To: []string{"display", "late"}}
	hidden := row{From: "sensor", Topic: "hidden/#", To: "display"}
	public := row{From: "sensor", Topic: "public", To: "device:*"}
	s.rows(both, public)
	g := s.start()
	sensor := s.connect("sensor")
	sensor.publish("room/mode", "eco", retained)
	if code := sensor.publish("hidden/x", "refused, so not kept", retained); code != notAuthorized {
		t.Errorf("retained without a row: %#x, want %#x", code, notAuthorized)
	}
	sensor.publish("public", "yes", retained)

	display, stranger := s.connect("display"), s.connect("stranger")
	display.subscribe("room/+")
	if p := display.hears("room/mode", "eco"); !p.Retain {
		t.Error("a retained message came without its RETAIN flag")
	}
	stranger.subscribe("#")
	stranger.hears("public", "yes") // and not room/mode

	// Now the hidden topic gets a row, and the late device loses its own.
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"}, hidden, public)
	g.reload()
	late := s.connect("late")
	late.subscribe("#")
	late.hears("public", "yes")
	display.subscribe("hidden/#")
	display.subscribe("public")
	display.hears("public", "yes")

	sensor.publish("room/mode", "", retained) // removes it
	display.hears("room/mode", "")
	display.subscribe("room/#")
	display.subscribe("public")
	display.hears("public", "yes")
}

func TestWillIsGated(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display", "stranger")
	s.rows(row{From: "sensor", Topic: "wills/#", To: "display"})
	g := s.start()
	display, stranger := s.connect("display"), s.connect("stranger")
	display.subscribe("#")
	stranger.subscribe("#")
	die := func(thing, topic string) {
		t.Helper()
		d := s.connect(thing, func(c *paho.Connect) {
			c.WillMessage = &paho.WillMessage{Topic: topic, Payload: []byte("gone"), QoS: 1}
		})
		_ = d.conn.Close()
	}
	die("sensor", "secret/sensor")
	g.counts(ledger{Accepted: 1, Refused: 1})
	die("sensor", "wills/sensor")
	display.hears("wills/sensor", "gone")
	g.counts(ledger{Accepted: 2, Refused: 1, Delivered: 1})

	// The shadow service takes no wills, as in AWS: a row leads it there all the same.
	die("sensor", "$aws/things/sensor/shadow/update")
	g.counts(ledger{Accepted: 3, Refused: 2, Delivered: 1})
	if said := s.fails(1, "shadow", "get", "sensor"); !strings.Contains(said, "No shadow exists") {
		t.Errorf("after a will: %s", said)
	}

	// Who leaves in good order leaves no will.
	polite := s.connect("sensor", func(c *paho.Connect) {
		c.WillMessage = &paho.WillMessage{Topic: "wills/sensor", Payload: []byte("gone"), QoS: 1}
	})
	polite.publish("wills/last", "word")
	display.hears("wills/last", "word")
	polite.leave()
	eventually(t, "the sensor has left", func() bool { return !g.connected("sensor") })
	g.counts(ledger{Accepted: 4, Refused: 2, Delivered: 2})
	if len(stranger.heard) > 0 {
		t.Errorf("the stranger heard %v", <-stranger.heard)
	}
}

func TestReloadSwapsTheTableUnderTraffic(t *testing.T) {
	t.Parallel()
	const swaps, batch = 6, 100
	s := newSite(t, "sensor", "left", "right")
	to := func(who string) { s.rows(row{From: "sensor", Topic: "n", To: who}) }
	to("left")
	g := s.start()
	sensor, left, right := s.connect("sensor"), s.connect("left"), s.connect("right")
	left.subscribe("n")
	right.subscribe("n")

	enough, sent := make(chan struct{}), make(chan int, 1)
	go func() { // publishes without a pause until it is told enough
		n := 0
		defer func() { sent <- n }()
		for {
			select {
			case <-enough:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			answer, err := sensor.Publish(ctx, &paho.Publish{Topic: "n", QoS: 1, Payload: fmt.Append(nil, n)})
			cancel()
			if err != nil || answer.ReasonCode != 0 {
				t.Errorf("message %d: %v, %+v; there is a row for it in each table", n, err, answer)
				return
			}
			n++
		}
	}()
	for i := range swaps {
		to([]string{"right", "left"}[i%2])
		g.reload()
		eventually(t, "a batch has passed the new table", func() bool {
			return len(left.heard)+len(right.heard) >= (i+1)*batch
		})
	}
	close(enough)
	n := <-sent

	eventually(t, "all is delivered or dropped", func() bool { return g.status().Ledger.Waiting == 0 })
	l := g.status().Ledger
	if l.Accepted != int64(n) || l.Refused != 0 || !l.balanced() {
		t.Errorf("the ledger is %+v after %d messages", l, n)
	}
	eventually(t, "the messages have arrived", func() bool { return int64(len(left.heard)+len(right.heard)) == l.Delivered })
	seen := map[string]string{}
	for _, d := range []*device{left, right} {
		if len(d.heard) == 0 {
			t.Errorf("%s heard nothing, though the table led to it", d.thing)
		}
		for len(d.heard) > 0 {
			number := string((<-d.heard).Payload)
			if other, twice := seen[number]; twice {
				t.Errorf("message %s went to %s and %s: no table says so", number, other, d.thing)
			}
			seen[number] = d.thing
		}
	}
}

func TestBrokenFileChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	g := s.start()
	sensor, display := s.connect("sensor"), s.connect("display")
	display.subscribe("#")
	before := g.status().Config

	s.rows(row{From: "sensr", Topic: "#", To: "display"})
	if stderr := s.fails(1, "check"); !strings.Contains(stderr, s.file+":") || !strings.Contains(stderr, "sensor") {
		t.Errorf("check says %q, want FILE:LINE:COL and the nearest known word, sensor", stderr)
	}
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "status tells of the broken file", func() bool { return g.status().Config.Error != "" })
	after := g.status().Config
	if after.Generation != before.Generation || !strings.Contains(after.Error, "sensr") {
		t.Errorf("config is %+v after a broken reload, was %+v", after, before)
	}
	if code := sensor.publish("elsewhere", "x"); code != notAuthorized {
		t.Errorf("the broken file opened the gate: %#x", code)
	}
	sensor.publish("room/x", "still passes")
	display.hears("room/x", "still passes")

	s.rows(row{From: "sensor", Topic: "elsewhere", To: "display"})
	g.reload()
	if c := g.status().Config; c.Error != "" || c.Generation != before.Generation+1 {
		t.Errorf("config is %+v after a good reload, want generation %d and no error", c, before.Generation+1)
	}
	sensor.publish("elsewhere", "now")
	display.hears("elsewhere", "now")
	g.stop()

	s.write("version: 1\ngroup: e2e\ncore: e2e_Core\nsubscriptions: [{from: a, topic: b")
	s.fails(1, "run")
}

func TestStrictSubscribe(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.rows(row{From: "sensor", Topic: "room/#", To: "display"})
	s.set(true, "broker", "strict_subscribe")
	s.start()
	display := s.connect("display")
	for filter, want := range map[string]byte{"room/+": 1, "#": 1, "elsewhere/#": notAuthorized} {
		if code := display.subscribe(filter); code != want {
			t.Errorf("strict subscribe to %s: %#x, want %#x", filter, code, want)
		}
	}
}

func TestExplainAgreesWithTheGate(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	allowed := row{From: "sensor", Topic: "room/#", To: "display"}
	s.rows(allowed)
	g := s.start()
	type explanation struct {
		From, Topic, Reason, Suggest string
		Allowed                      bool
		Rows                         []struct {
			Line int
			Text string
			To   []string
		}
		Receivers []string
	}
	explain := func(args ...string) (e explanation) {
		t.Helper()
		if out := s.greengate(append([]string{"explain", "--json"}, args...)...); json.Unmarshal([]byte(out), &e) != nil {
			t.Fatalf("explain --json is no such document: %s", out)
		}
		return e
	}
	e := explain("--from", "sensor", "--topic", "room/t")
	if !e.Allowed || fmt.Sprint(e.Receivers) != "[display]" || len(e.Rows) != 1 || e.Rows[0].Line == 0 {
		t.Errorf("explain of an allowed flow: %+v", e)
	}
	e = explain("--from", "display", "--topic", "room/t", "--to", "sensor")
	if e.Allowed || e.Receivers == nil || len(e.Receivers) != 0 || e.Reason == "" {
		t.Errorf("explain of a refused flow: %+v", e)
	}
	// The row to paste is one: with it, the flow is allowed.
	var suggested []row
	if err := yaml.Unmarshal([]byte(e.Suggest), &suggested); err != nil || len(suggested) != 1 {
		t.Fatalf("the suggestion %q is no row: %v", e.Suggest, err)
	}
	s.rows(allowed, suggested[0])
	g.reload()
	if e := explain("--from", "display", "--topic", "room/t", "--to", "sensor"); !e.Allowed {
		t.Errorf("the suggested row does not allow the flow: %+v", e)
	}
	sensor, display := s.connect("sensor"), s.connect("display")
	sensor.subscribe("#")
	display.publish("room/t", "back")
	sensor.hears("room/t", "back")
}

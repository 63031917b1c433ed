package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// The traffic light of the AWS IoT Greengrass tutorial: a switch wants a colour,
// and a light takes and reports it. They never talk to each other: what is
// wanted and what is so stands in the shadow of the light.

// trafficLight is the thing of the light, theSwitch that of the switch.
const (
	trafficLight = "GG_TrafficLight"
	theSwitch    = "GG_Switch"
)

// lightShadow is a topic of the light's shadow.
func lightShadow(rest string) string { return "$aws/things/" + trafficLight + "/shadow/" + rest }

// period is how long the light has one colour.
const period = 5 * time.Second

// document is what these two read and write of the shadow.
type document struct {
	State       any    `json:"state"`
	ClientToken string `json:"clientToken"`
}

// answer is what they read of what the shadow service tells: in state the keys
// of a delta, or the sections of a whole document.
type answer struct {
	State struct {
		Property        string
		Delta, Reported struct{ Property string }
	}
	Version     int64
	Code        int
	Message     string
	ClientToken string
}

// switcher sets the colour of the light in turn: red, green, yellow.
func switcher(ctx context.Context, d *device) error {
	b, err := d.find(ctx)
	if err != nil {
		return err
	}
	answers := make(chan answer, 16)
	conn, err := d.connect(ctx, b,
		func(m *autopaho.ConnectionManager) {
			subscribe(ctx, m, lightShadow("update/accepted"), lightShadow("update/rejected"))
		},
		func(p *paho.Publish) { offer(answers, p) })
	if err != nil {
		return err
	}
	defer func() { <-conn.Done() }() // it says goodbye to the core when ctx ends
	for n := 0; ; n++ {
		if err := conn.AwaitConnection(ctx); err != nil {
			return err
		}
		colour, token := "RGY"[n%3:n%3+1], fmt.Sprintf("switch-%d", n)
		request := document{State: map[string]any{"desired": map[string]string{"property": colour}}, ClientToken: token}
		if err := d.update(ctx, conn, request); err != nil && ctx.Err() == nil {
			say("desired.property = %s: %v", colour, err)
		}
		if err := await(ctx, answers, token, colour); err != nil {
			return err
		}
	}
}

// await tells how the request with that token was answered, and returns when
// it is time for the next.
func await(ctx context.Context, answers <-chan answer, token, colour string) error {
	next := time.After(period)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-next:
			return nil
		case a := <-answers:
			switch {
			case a.ClientToken != token: // somebody else's: all who may update hear all answers
			case a.Code != 0:
				say("desired.property = %s: rejected, %d %s", colour, a.Code, a.Message)
			default:
				say("desired.property = %s: accepted, version %d", colour, a.Version)
			}
		}
	}
}

// light shows the colour that its shadow asks for, and reports it.
func light(ctx context.Context, d *device) error {
	b, err := d.find(ctx)
	if err != nil {
		return err
	}
	answers := make(chan answer, 16)
	conn, err := d.connect(ctx, b,
		func(m *autopaho.ConnectionManager) {
			subscribe(ctx, m, lightShadow("update/delta"), lightShadow("get/accepted"), lightShadow("get/rejected"))
			// What was wanted while the light was away.
			if _, err := m.Publish(ctx, &paho.Publish{Topic: lightShadow("get"), QoS: 1}); err != nil && ctx.Err() == nil {
				say("get the shadow: %v", err)
			}
		},
		func(p *paho.Publish) { offer(answers, p) })
	if err != nil {
		return err
	}
	defer func() { <-conn.Done() }()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case a := <-answers:
			d.show(ctx, conn, a)
		}
	}
}

// show takes the colour that a delta or the whole document wants, and reports
// it.
func (d *device) show(ctx context.Context, conn *autopaho.ConnectionManager, a answer) {
	colour := a.State.Property + a.State.Delta.Property // a delta has the one, a document the other
	switch {
	case a.Code != 0: // 404: nobody has wanted anything yet
		say("%s  %s", lamps(shows("")), a.Message)
		return
	case colour == "":
		say("%s  as it was", lamps(shows(a.State.Reported.Property)))
		return
	}
	report := document{State: map[string]any{"reported": map[string]string{"property": colour}}, ClientToken: "light"}
	switch err := d.update(ctx, conn, report); {
	case err == nil:
		say("%s  as version %d of its shadow wants it; reported", lamps(shows(colour)), a.Version)
	case ctx.Err() == nil:
		say("%s  not reported: %v", lamps(shows(colour)), err)
	}
}

// lampNames are the lamps of the light, and the LEDs of the demo's gateway.
var lampNames = []string{"red", "yellow", "green"}

// lamps draws a light.
func lamps(on func(name string) bool) string {
	drawn := make([]string, len(lampNames))
	for i, name := range lampNames {
		drawn[i] = "○ " + name
		if on(name) {
			drawn[i] = "● " + name
		}
	}
	return strings.Join(drawn, "  ")
}

// shows tells which lamp is lit by a colour: R, Y, G, or none.
func shows(colour string) func(string) bool {
	return func(name string) bool { return strings.ToUpper(name[:1]) == colour }
}

func (d *device) update(ctx context.Context, conn *autopaho.ConnectionManager, request document) error {
	payload, err := json.Marshal(request)
	if err != nil {
		return err
	}
	_, err = conn.Publish(ctx, &paho.Publish{Topic: lightShadow("update"), QoS: 1, Payload: payload})
	return err
}

func subscribe(ctx context.Context, m *autopaho.ConnectionManager, filters ...string) {
	wish := &paho.Subscribe{}
	for _, f := range filters {
		wish.Subscriptions = append(wish.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: 1})
	}
	if _, err := m.Subscribe(ctx, wish); err != nil {
		say("subscribe to %s: %v", filters, err)
	}
}

// offer hands a message of the shadow service over to the device's own
// goroutine: the one that calls it must go on reading.
func offer(answers chan<- answer, p *paho.Publish) {
	var a answer
	if err := json.Unmarshal(p.Payload, &a); err != nil {
		say("%s: %v", p.Topic, err)
		return
	}
	select {
	case answers <- a:
	default: // a device that cannot keep up asks again when it connects
	}
}

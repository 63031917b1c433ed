package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// temperatureTopic is where the sensor of the demo publishes.
const temperatureTopic = "sensors/room/temperature"

// sensor publishes the temperature of a room every two seconds, at QoS 1.
func sensor(ctx context.Context, d *device) error {
	b, err := d.find(ctx)
	if err != nil {
		return err
	}
	conn, err := d.connect(ctx, b,
		func(*autopaho.ConnectionManager) { say("publishing %s every two seconds", temperatureTopic) },
		func(*paho.Publish) {})
	if err != nil {
		return err
	}
	defer func() { <-conn.Done() }() // it says goodbye to the core when ctx ends
	for n := 0; ; n++ {
		if err := conn.AwaitConnection(ctx); err != nil {
			return err
		}
		// A room that warms and cools by a degree within two minutes.
		reading := fmt.Sprintf("%.1f", 21+math.Sin(float64(n)*math.Pi/30))
		if _, err := conn.Publish(ctx, &paho.Publish{Topic: temperatureTopic, QoS: 1, Payload: []byte(reading)}); err != nil && ctx.Err() == nil {
			say("published %s: %v", reading, err)
		}
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
	}
}

// bellTopic is where the button of the demo's gateway publishes.
const bellTopic = "home/bell"

// display shows what it hears of the sensors and of the bell, and what the cloud
// tells it.
func display(ctx context.Context, d *device) error {
	b, err := d.find(ctx)
	if err != nil {
		return err
	}
	conn, err := d.connect(ctx, b,
		func(m *autopaho.ConnectionManager) {
			commands := "cmd/" + d.thing + "/#"
			_, err := m.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{
				{Topic: "sensors/#", QoS: 1}, {Topic: "cars/#", QoS: 1}, {Topic: bellTopic, QoS: 1}, {Topic: commands, QoS: 1},
			}})
			if err != nil {
				say("subscribe to sensors/#, cars/#, %s and %s: %v", bellTopic, commands, err)
				return
			}
			say("subscribed to sensors/#, cars/#, %s and %s", bellTopic, commands)
		},
		func(p *paho.Publish) { say("heard %s: %s", p.Topic, p.Payload) })
	if err != nil {
		return err
	}
	<-conn.Done()
	return ctx.Err()
}

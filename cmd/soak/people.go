package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"greengate/core/admin/client"
)

// Which share of the rate each kind of traffic has. The rest of a percent is wills.
const (
	shareLine      = 0.23 // device to device, QoS 1
	shareMeter     = 0.20 // device to device, QoS 0
	shareTelemetry = 0.18 // device to cloud through the spool, QoS 1
	shareSale      = 0.02 // device to device, QoS 2; both come and go
	shareTask      = 0.08 // to devices that come and go and keep their session
	shareRover     = 0.06 // from devices that come, go and take over
	shareSlow      = 0.05 // to a reader that stops reading now and then
	shareShadow    = 0.04 // updates of shadows, which are synced with the cloud
	sharePin       = 0.04 // to a simulated pin
	shareWork      = 0.03 // durable calls of a function, which crashes
	shareState     = 0.02 // retained
	shareCommand   = 0.02 // cloud to device
	shareStranger  = 0.02 // that no row allows
	shareREST      = 0.01 // over HTTPS
)

// people connects the devices and begins their traffic.
func (s *soak) people() error {
	if err := s.site.until(s.life, "the cloud is connected", func(st *client.Status) bool { return st.Cloud.Connected }); err != nil {
		return err
	}
	for _, begin := range []func() error{
		s.pairs, s.telemetry, s.sales, s.tasks, s.commands, s.retained, s.shadows, s.calls, s.pins, s.slow, s.web, s.refused,
	} {
		if err := begin(); err != nil {
			return err
		}
	}
	return nil
}

// hearAll is what most receivers do: they note the numbered message.
func (s *soak) hearAll(h heard) {
	if !s.flows.arrive(h.Payload, h.Dup) {
		s.fault("a message on %s that nobody sent: %.100s", h.Topic, h.Payload)
	}
}

// keepAll keeps devices connected that hear numbered messages and nothing else.
func (s *soak) keepAll(qos byte, filter string, names ...string) error {
	for _, name := range names {
		if err := s.keep(s.device(name, qos, s.hearAll, filter)); err != nil {
			return err
		}
	}
	return nil
}

// speakers keeps the things of a label connected, gives each its flow, and has them
// publish it on PREFIX/THING.
func (s *soak) speakers(label, prefix string, share float64, burst int, qos byte) error {
	names := s.plan.kind(label)
	for _, name := range names {
		d := s.device(name, 0, nil)
		if err := s.keep(d); err != nil {
			return err
		}
		f := s.flows[name]
		s.start(pour{
			flow: f, from: d, rate: s.o.Rate * share / float64(len(names)), burst: max(1, burst), qos: qos,
			topic: fixed(prefix + "/" + name),
		})
	}
	return nil
}

// pairs are device to device.
func (s *soak) pairs() error {
	if err := s.keepAll(1, "line/#", "panel"); err != nil {
		return err
	}
	if err := s.keepAll(0, "meter/#", "dial"); err != nil {
		return err
	}
	if err := s.speakers("press", "line", shareLine, 1, 1); err != nil {
		return err
	}
	return s.speakers("meter", "meter", shareMeter, 1, 0)
}

// telemetry is what sensors have measured: each sends it once a second, if nothing
// else is asked for.
func (s *soak) telemetry() error {
	burst := s.o.Burst
	if burst == 0 {
		burst = int(s.o.Rate * shareTelemetry / float64(len(s.plan.kind("sensor"))))
	}
	return s.speakers("sensor", "telemetry", shareTelemetry, burst, 1)
}

// sales go from tills to an office, each exactly once, however often either is cut off.
func (s *soak) sales() error {
	office := s.device("office-0", 2, s.hearAll, "sale/#")
	if err := s.guest(office); err != nil {
		return err
	}
	names := s.plan.kind("till")
	for _, name := range names {
		till := s.device(name, 0, nil)
		if err := s.guest(till); err != nil {
			return err
		}
		s.start(pour{
			flow: s.flows[name], from: till, rate: s.o.Rate * shareSale / float64(len(names)), qos: 2,
			topic: fixed("sale/" + name),
		})
	}
	return nil
}

// guest connects a device that keeps its session and comes and goes.
func (s *soak) guest(d *device) error {
	d.o.Clean, d.o.Session = false, newSession()
	if err := d.connect(s.life); err != nil {
		return err
	}
	s.nodes = append(s.nodes, d)
	s.atEnd(func() { d.away(true) })
	return nil
}

// tasks go to nodes, which are away half of the time and miss nothing.
func (s *soak) tasks() error {
	d := s.device("controller", 0, nil)
	if err := s.keep(d); err != nil {
		return err
	}
	names := s.plan.kind("node")
	for _, name := range names {
		node := s.device(name, 1, s.hearAll, "task/#", "cmd/#")
		if err := s.guest(node); err != nil {
			return err
		}
		s.start(pour{
			flow: s.flows["task:"+name], from: d, rate: s.o.Rate * shareTask / float64(len(names)), qos: 1,
			topic: fixed("task/" + name),
		})
	}
	return nil
}

// commands come from the cloud.
func (s *soak) commands() error {
	for _, name := range s.plan.kind("node") {
		f := s.flows["cmd:"+name]
		s.every(s.o.Rate*shareCommand/float64(len(s.plan.kind("node"))), func() {
			n := f.next()
			body := f.payload(n)
			f.weigh(len(body))
			if err := s.cloud.Publish("cmd/"+name, body, 1, false); err != nil {
				s.fault("publish in the cloud: %v", err)
				return
			}
			f.ack(n)
		})
	}
	return nil
}

// every does something at a rate, in times a second, until the traffic ends.
func (s *soak) every(rate float64, do func()) {
	s.publishers.Go(func() { s.paced(rate, 1, do) })
}

// retained has a clock whose messages are kept, and a wall that hears all of them.
func (s *soak) retained() error {
	wall := s.device("wall", 1, func(h heard) {
		if h.Topic == "room/climate" {
			s.mu.Lock()
			s.climates++
			s.mu.Unlock()
			return
		}
		s.hearAll(h)
	}, "state/#", "room/#")
	clock := s.device("clock", 0, nil)
	for _, d := range []*device{wall, clock} {
		if err := s.keep(d); err != nil {
			return err
		}
	}
	s.start(pour{
		flow: s.flows["state"], from: clock, rate: s.o.Rate * shareState, qos: 1, retain: true,
		topic: func(n int) string { return fmt.Sprintf("state/%d", n%retainedTopics) },
	})
	return nil
}

// shadows has lamps that report to their own shadows, and hear each update accepted.
func (s *soak) shadows() error {
	names := s.plan.kind("lamp")
	for _, name := range names {
		f, prefix := s.flows["shadow:"+name], "$aws/things/"+name+"/shadow/update"
		d := s.device(name, 1, func(h heard) {
			var answer struct{ ClientToken string }
			_ = json.Unmarshal(h.Payload, &answer) // one that is none has no token
			flow, number, _ := strings.Cut(answer.ClientToken, " ")
			n, err := strconv.Atoi(number)
			if h.Topic != prefix+"/accepted" || flow != f.name || err != nil {
				s.fault("%s was answered on %s: %.200s", name, h.Topic, h.Payload)
				return
			}
			f.arrive(n, h.Dup)
		}, prefix+"/accepted", prefix+"/rejected")
		if err := s.keep(d); err != nil {
			return err
		}
		s.start(pour{
			flow: f, from: d, rate: s.o.Rate * shareShadow / float64(len(names)), qos: 1, topic: fixed(prefix), body: f.update,
		})
	}
	return nil
}

// calls go to the function, and its answers to the foreman.
func (s *soak) calls() error {
	boss := s.device("boss", 0, nil)
	if err := s.keep(boss); err != nil {
		return err
	}
	if err := s.keepAll(1, "work/done", "foreman"); err != nil {
		return err
	}
	s.start(pour{flow: s.flows["work"], from: boss, rate: s.o.Rate * shareWork, qos: 1, topic: fixed("work/todo")})
	return nil
}

// pins are turned on and off.
func (s *soak) pins() error {
	hand := s.device("hand", 0, nil)
	if err := s.keep(hand); err != nil {
		return err
	}
	s.start(pour{
		flow: s.flows["pin"], from: hand, rate: s.o.Rate * sharePin, qos: 1, topic: fixed("pin/beacon"),
		body: func(n int) []byte { return []byte([]string{"off", "on"}[n%2]) },
	})
	return nil
}

// slow has two readers that stop reading now and then: what is sent with QoS 1 waits
// for them, what is sent with QoS 0 is dropped beyond a bound, and counted.
func (s *soak) slow() error {
	snail := s.device("snail", 1, s.hearAll, "slow/one")
	snail.o.Small, snail.o.Pause = true, &s.snail
	sloth := s.device("sloth", 0, s.hearAll, "slow/zero")
	sloth.o.Small, sloth.o.Pause = true, &s.sloth
	s.pump = s.device("pump", 0, nil)
	for _, d := range []*device{snail, sloth, s.pump} {
		if err := s.keep(d); err != nil {
			return err
		}
	}
	s.start(pour{flow: s.flows["slow"], from: s.pump, rate: s.o.Rate * shareSlow, qos: 1, topic: fixed("slow/one")})
	return nil
}

// web publishes over HTTPS, to the receiver of the rovers. A witness hears the wills.
func (s *soak) web() error {
	for receiver, filter := range map[string]string{"base": "#", "witness": "will/#"} {
		if err := s.keepAll(1, filter, receiver); err != nil {
			return err
		}
	}
	transport := &http.Transport{TLSClientConfig: s.site.credentials["web"].Clone()}
	s.atEnd(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport, Timeout: patience}
	f := s.flows["rest"]
	s.every(s.o.Rate*shareREST, func() {
		n := f.next()
		body := f.payload(n)
		f.weigh(len(body))
		if err := post(s.life, c, "https://"+s.site.discovery+"/topics/rest/web?qos=1", body); err != nil {
			s.fault("publish over HTTPS: %v", err)
			return
		}
		f.ack(n)
	})
	names := s.plan.kind("rover")
	for _, name := range names {
		rover := s.device(name, 0, nil)
		if err := rover.connect(s.life); err != nil {
			return err
		}
		s.rovers = append(s.rovers, rover)
		s.atEnd(func() { rover.away(true) })
		s.start(pour{
			flow: s.flows[name], from: rover, rate: s.o.Rate * shareRover / float64(len(names)), qos: 1,
			topic: fixed("rover/" + name), lossy: true,
		})
	}
	return nil
}

func post(ctx context.Context, c *http.Client, url string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s (%w)", resp.Status, answer, err)
	}
	return nil
}

// refused has a stranger that no row leads from or to.
func (s *soak) refused() error {
	d := s.device("stranger", 1, func(h heard) { s.fault("the stranger heard %s: %.100s", h.Topic, h.Payload) }, "#")
	if err := s.keep(d); err != nil {
		return err
	}
	s.start(pour{
		flow: s.flows["stranger"], from: d, rate: s.o.Rate * shareStranger, qos: 1,
		topic: func(n int) string { return []string{"line/press-0", "forbidden", "task/node-0"}[n%3] },
	})
	return nil
}

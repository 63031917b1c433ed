package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// The figures of connecting: CPU of the server in ms, times in s.
const (
	connectFull    = "full"
	connectResumed = "resumed"
	stormAccepted  = "accepted"
	stormServed    = "served"
	stormRetries   = "retries"
)

const (
	connecting = 200   // devices that take turns
	connects   = 400   // that are measured, of each sort
	storm      = 1_000 // devices that come at once
)

func connectScenario() scenario {
	return scenario{
		letter: "E", name: "TLS handshake and CONNECT until CONNACK, and the end", kinds: brokers,
		measure: (*bench).connects,
		rows: []row{
			{"CPU, full handshake, ms", connectFull, []goal{atMost(0.6, mosquitto)}},
			{"CPU, resumed session, ms", connectResumed, []goal{atMost(0.7, mosquitto)}},
		},
	}
}

func stormScenario() scenario {
	return scenario{
		letter: "E", name: "1,000 devices that reconnect at once, full handshakes", kinds: brokers,
		measure: (*bench).storm,
		rows: []row{
			{"time until the last CONNACK, s", stormAccepted, nil},
			{"time until each got a message of its own, s", stormServed, []goal{atMost(3, "")}},
			{"attempts that failed first", stormRetries, nil},
		},
	}
}

// connects is what a connection costs a server.
func (b *bench) connects(ctx context.Context, k kind) (sample, error) {
	s, err := b.programs.start(ctx, k, plant)
	if err != nil {
		return nil, err
	}
	return measured(s, func() (sample, error) {
		figures := make(sample)
		for _, sort := range []struct {
			figure string
			resume bool
		}{{connectFull, false}, {connectResumed, true}} {
			devices := make([]*device, connecting)
			for i, d := range b.programs.site.crowd[:connecting] {
				devices[i] = d.withTickets(sort.resume)
			}
			// Once before, for the tickets, and so that the server has seen each certificate.
			if err := comeAndGo(ctx, s, devices, false); err != nil {
				return nil, err
			}
			cpu, err := s.cpuOf(ctx, func() error {
				for range connects / connecting {
					if err := comeAndGo(ctx, s, devices, sort.resume); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			figures[sort.figure] = cpu.Seconds() * 1e3 / connects
		}
		return figures, nil
	})
}

// withTickets is the same device, which keeps the tickets of TLS sessions or not.
func (d *device) withTickets(keep bool) *device {
	other := *d
	other.tls = d.tls.Clone()
	other.tls.SessionTicketsDisabled = !keep
	if keep {
		other.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	}
	return &other
}

// comeAndGo connects each device and has it leave. It is an error when a session
// was resumed that should not have been, or the other way round.
func comeAndGo(ctx context.Context, s *server, devices []*device, resumed bool) error {
	return each(devices, 2, func(d *device) error {
		c, err := d.dial(ctx, s.address, 512)
		if err != nil {
			return err
		}
		c.leave()
		if did := c.ConnectionState().DidResume; did != resumed {
			return fmt.Errorf("%s: resumed a TLS session: %t, wanted %t", s.kind, did, resumed)
		}
		return nil
	})
}

// cpuOf is the CPU time that do costs the server, with what it does afterwards
// until it rests.
func (s *server) cpuOf(ctx context.Context, do func() error) (time.Duration, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	for last := before; ; {
		now, err := s.cpu()
		if err != nil || ctx.Err() != nil {
			return 0, errors.Join(err, ctx.Err())
		}
		if now-last < time.Millisecond {
			return now - before, nil
		}
		last = now
		sleep(ctx, 50*time.Millisecond)
	}
}

// storm is how long a server takes when all its devices come back at once, as
// after a power cut: none has kept a ticket.
func (b *bench) storm(ctx context.Context, k kind) (sample, error) {
	s, err := b.programs.start(ctx, k, plant)
	if err != nil {
		return nil, err
	}
	return measured(s, func() (sample, error) {
		devices := b.programs.site.crowd[:storm]
		var before connections
		err := before.open(ctx, s, devices)
		before.close()
		if err != nil {
			return nil, err
		}
		if _, err := s.cpuOf(ctx, func() error { return nil }); err != nil { // until it has seen that they are gone
			return nil, err
		}
		return reconnect(ctx, s, devices)
	})
}

// reconnect connects all devices at once, and has each send itself a message.
func reconnect(ctx context.Context, s *server, devices []*device) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	type outcome struct {
		accepted, served time.Duration
		retries          int
		err              error
	}
	outcomes := make(chan outcome, len(devices))
	began := time.Now()
	for _, d := range devices {
		go func() {
			var o outcome
			var c *client
			for {
				if c, o.err = d.dial(ctx, s.address, 512); o.err == nil || ctx.Err() != nil {
					break
				}
				o.retries++
				sleep(ctx, 100*time.Millisecond)
			}
			if o.err == nil {
				o.accepted = time.Since(began)
				o.err = c.echo("self/"+d.thing, 1)
				o.served = time.Since(began)
				defer c.leave()
			}
			outcomes <- o
		}()
	}
	var last outcome
	for range devices {
		o := <-outcomes
		last.accepted, last.served = max(last.accepted, o.accepted), max(last.served, o.served)
		last.retries += o.retries
		if o.err != nil {
			last.err = o.err
		}
	}
	if last.err != nil {
		return nil, s.failed(last.err)
	}
	return sample{stormAccepted: last.accepted.Seconds(), stormServed: last.served.Seconds(), stormRetries: float64(last.retries)}, nil
}

// echo subscribes to topic, publishes on it, and waits for what comes back.
func (c *client) echo(topic string, qos byte) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := c.subscribe(topic, qos); err != nil {
		return err
	}
	if _, err := c.Write(appendPublish(nil, topic, qos, 1, []byte("here again"))); err != nil {
		return err
	}
	for {
		first, _, err := c.next()
		if err != nil {
			return fmt.Errorf("wait for the message on %s: %w", topic, err)
		}
		if first&0xf0 == publish {
			return nil
		}
	}
}

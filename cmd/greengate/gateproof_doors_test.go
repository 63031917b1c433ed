package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/message"
	"greengate/localshadow"
)

// probe makes a message for a door.
func (p *proof) probe(door, from, topic string) *proofProbe {
	p.tried++
	probe := &proofProbe{id: p.tried, door: door, from: from, topic: topic, qos: byte(p.IntN(3))}
	p.probes[probe.id] = probe
	if p.table.publishes(from, topic) {
		p.granted++
	}
	probe.payload = fmt.Appendf(nil, "p%dq", probe.id)
	if _, _, ok := proofRequest(topic); ok {
		probe.payload = fmt.Appendf(nil, `{"state":{"desired":{"k":%d}},"clientToken":"p%dq"}`, probe.id, probe.id)
	}
	return probe
}

// random makes a message of whoever may send one.
func (p *proof) random() *proofProbe {
	var devices []string
	for _, c := range p.order {
		if c.proofConn != nil {
			devices = append(devices, c.end())
		}
	}
	switch n := p.IntN(100); {
	case n < 76:
		from, topic := p.way(p.table, devices)
		return p.probe("mqtt", from, topic)
	case n < 82:
		from, topic := p.way(p.table, devices)
		return p.probe("rest", from, topic)
	case n < 85:
		return p.probe("rest-shadow", p.of(devices...), p.request())
	case n < 90:
		from, topic := p.way(p.table, proofFunctions)
		return p.probe("function", from, topic)
	case n < 92:
		return p.probe("function-shadow", p.of(proofFunctions...), p.request())
	}
	_, topic := p.way(p.table, []string{proofCloud})
	return p.probe("cloud", proofCloud, topic)
}

// request is the topic of a request to the shadow service. The answer to a deletion by the
// API has no token by which it is known, and so may not wait for anybody.
func (p *proof) request() string {
	last := "delete"
	for _, c := range p.order {
		if p.away(proofCloud) || p.away(proofSlow) || c.subs != nil && c.proofConn == nil {
			last = "get"
		}
	}
	return "$aws/things/" + p.of(append([]string{"other", "c_Core"}, proofThings...)...) + "/shadow/" + p.of("", "name/n/") + p.of("get", "update", "update", last)
}

// batch sends messages by all doors at once. With another table, that is put in force
// while they are under way; every other one is sent when the reload has returned.
func (p *proof) batch(n int, next *proofTable) {
	lanes := map[string][]func() error{}
	var probes []*proofProbe
	var sent atomic.Int64
	swap, swapped := make(chan struct{}), make(chan struct{})
	at := int64(p.IntN(max(1, n/2)) + 1)
	keeps := map[string]bool{} // topics whose retained message is changed
	for i := range n {
		probe := p.random()
		device := p.clients[strings.TrimPrefix(probe.from, "device:")]
		probe.late = next != nil && i >= n/2
		probe.retain = (next == nil || probe.late) && !keeps[probe.topic] && p.one(4) && (probe.door == "mqtt" || probe.door == "rest" || probe.door == "function")
		if probe.retain {
			keeps[probe.topic] = true
		}
		alias := byte(p.IntN(6))
		lane := probe.door + probe.from
		lanes[lane] = append(lanes[lane], func() error {
			if probe.late {
				<-swapped
			} else if sent.Add(1) == at {
				close(swap)
			}
			if probe.door == "mqtt" {
				probe.packet = device.publish(probe.topic, probe.payload, probe.qos, probe.retain, alias)
				return nil
			}
			return p.send(probe)
		})
		probes = append(probes, probe)
	}
	p.tell("batch of probes %d to %d, a reload meanwhile: %v", probes[0].id, probes[n-1].id, next != nil)
	tables := []*proofTable{p.table}
	var lingering *proofGate
	if next != nil {
		lingering = p.lingering(swapped)
	}
	var all sync.WaitGroup
	errs := make(chan error, len(lanes)+1)
	for _, lane := range lanes {
		all.Go(func() {
			for _, send := range lane {
				if err := send(); err != nil {
					errs <- err
				}
			}
		})
	}
	if next != nil {
		p.writeFile(next)
		p.leavers(next)
		all.Go(func() {
			select {
			case <-swap:
			case <-time.After(longest): // all wait for it
			}
			if _, err := p.g.reload("gateproof"); err != nil {
				errs <- err
			}
			close(swapped)
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		p.must(err)
	}
	p.settle()
	if next != nil {
		lingering.mark(probes)
		p.table, tables = next, append(tables, next)
		p.forget()
	}
	p.answered(probes, tables)
	p.check(probes, tables)
	for _, probe := range probes {
		p.keep(probe)
	}
	if next != nil {
		p.left()
	}
}

// keep enters in the oracle what the gateway retains.
func (p *proof) keep(probe *proofProbe) {
	if probe.retain && !probe.void && !strings.HasPrefix(probe.topic, "$") && p.table.publishes(probe.from, probe.topic) {
		p.retained[probe.topic] = probe
	}
}

// send sends a message by HTTPS, as a function, or from the cloud, and waits until it is
// taken.
func (p *proof) send(probe *proofProbe) error {
	switch probe.door {
	case "cloud": // as the uplink does
		port := p.g.router.Port(message.Endpoint{Kind: message.Cloud})
		way, err := port.Route([]byte(probe.topic), message.CheckTopic)
		if err != nil {
			return err
		}
		port.Publish(&message.Message{Topic: probe.topic, Payload: probe.payload, QoS: probe.qos}, way)
		port.Flush()
		return nil
	case "function", "function-shadow":
		answer := httptest.NewRecorder()
		p.g.functions.home(strings.TrimPrefix(probe.from, "function:")).Data(answer, probe.request("http://localhost"))
		return probe.status(answer.Result())
	}
	answer, err := p.web[strings.TrimPrefix(probe.from, "device:")].Do(probe.request("https://" + p.g.discovery.Addrs()[0].String()))
	if err != nil {
		return err
	}
	return probe.status(answer)
}

// request is the message in the words of the data plane.
func (p *proofProbe) request(server string) *http.Request {
	method, at := http.MethodPost, fmt.Sprintf("/topics/%s?qos=%d&retain=%v", url.QueryEscape(p.topic), min(p.qos, 1), p.retain)
	if p.direct() {
		thing, op, _ := proofRequest(p.topic)
		at = "/things/" + thing + "/shadow"
		if strings.Contains(p.topic, "/name/n/") {
			at += "?name=n"
		}
		method = map[string]string{"get": http.MethodGet, "update": http.MethodPost, "delete": http.MethodDelete}[op]
	} else {
		p.qos = min(p.qos, 1)
	}
	r, err := http.NewRequest(method, server+at, bytes.NewReader(p.payload))
	if err != nil {
		panic(err)
	}
	r.Header["X-Idempotency-Key"] = nil // sent anew when the server has just closed an idle connection
	return r
}

// status notes how the request was answered.
func (p *proofProbe) status(r *http.Response) error {
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	p.answer, p.void = fmt.Sprint(r.StatusCode), r.StatusCode == http.StatusTooManyRequests
	if r.StatusCode == http.StatusBadRequest || r.StatusCode >= 500 {
		return fmt.Errorf("%v: %s: %s", p, r.Status, text)
	}
	return err
}

// answered checks what senders were told.
func (p *proof) answered(probes []*proofProbe, tables []*proofTable) {
	for _, probe := range probes {
		if probe.packet != 0 {
			p.acknowledged(probe)
		}
		if probe.answer == "" || probe.void {
			continue
		}
		yes, no := false, false
		for _, t := range probe.judges(tables) {
			ok := t.publishes(probe.from, probe.topic)
			if probe.direct() {
				ok = t.allows(probe.from, probe.topic, proofShadow)
			}
			yes, no = yes || ok, no || !ok
		}
		if told := probe.answer != "403"; told && !yes || !told && !no {
			p.fault("WRONG ANSWER", probe, fmt.Sprintf("a row allows it: %v", yes))
		}
	}
}

// acknowledged takes the answer to a publish with QoS 1 or 2. MQTT 3.1.1 has no word for a
// refusal.
func (p *proof) acknowledged(probe *proofProbe) {
	c := p.clients[strings.TrimPrefix(probe.from, "device:")]
	code, err := c.acked(probe.packet)
	p.must(err)
	switch {
	case code == 0x87 && c.v5:
		probe.answer = "403"
	case code != 0:
		p.fault("WRONG ANSWER", probe, fmt.Sprintf("code %#x", code))
	case c.v5:
		probe.answer = "200"
	}
}

// settle waits until all that is under way has arrived: the doors in turn, and each behind
// what came through the one before.
func (p *proof) settle() {
	p.marks++
	n := p.marks
	here := func(do func(c *proofClient) error) {
		var all sync.WaitGroup
		errs := make(chan error, len(p.order))
		for _, c := range p.order {
			if c.proofConn != nil {
				all.Go(func() {
					if err := do(c); err != nil {
						errs <- fmt.Errorf("%s: %w", c.thing, err)
					}
				})
			}
		}
		all.Wait()
		close(errs)
		for err := range errs {
			p.must(err)
		}
	}
	// Publishes are answered in their order, and a mark is one.
	here(func(c *proofClient) error { return c.caughtUp(n) })
	done := make(chan struct{})
	p.g.shadows.Handle("settle", "", localshadow.OpGet, nil, localshadow.Source{}, func([]byte, error) { close(done) })
	<-done
	if w := p.clients[proofWitness]; w.listens() {
		for _, end := range proofFunctions {
			if name := strings.TrimPrefix(end, "function:"); !p.away(end) {
				p.must(w.mark(proofMark(name), proofAnswer+name, n))
			}
		}
	}
	if !p.away(proofCloud) {
		p.until("the end of the spool", func() bool { coming, _ := p.sky.counts(); return coming == 0 })
	}
	p.marks++
	here(func(c *proofClient) error { return c.caughtUp(n + 1) })
}

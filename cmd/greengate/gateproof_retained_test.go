package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// broughtRetained notes a retained message that came for a new subscription.
func (p *proof) broughtRetained(c *proofClient, topic string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept[proofKey{proofToken(payload), c.end(), topic}]++
	p.got++
}

// subscribe subscribes, checks which retained messages come, and goes on with the
// subscription or ends it.
func (p *proof) subscribe(c *proofClient, filter string) {
	s := proofSub{qos: byte(1 + p.IntN(2)), noLocal: c.v5 && p.one(4)}
	if own := filter == proofMark(c.thing) || filter == proofAnswers; own {
		s.noLocal = false
	} else if p.one(3) {
		s.qos = 0
	}
	options, handling := s.qos, 0
	if c.v5 {
		handling = p.IntN(4) % 3
		options |= byte(handling) << 4
		if s.noLocal {
			options |= 4
		}
	}
	_, existed := c.subs[filter]
	p.tell("%s subscribes to %q: %+v, retain handling %d", c.thing, filter, s, handling)
	id := c.id()
	c.write(mqttPacket(0x82, binary.BigEndian.AppendUint16(nil, id), c.props(), mqttText(filter), []byte{options}))
	code, err := c.acked(id)
	p.must(err)
	if code != s.qos {
		p.must(fmt.Errorf("SUBACK of %s for %q: %#x", c.thing, filter, code))
	}
	c.subs[filter] = s
	p.settle()
	want := map[proofKey]int{}
	for topic, kept := range p.retained {
		if (handling == 0 || handling == 1 && !existed) && proofMatch(filter, topic) && !(s.noLocal && kept.from == c.end()) &&
			p.table.allows(kept.from, topic, c.end()) {
			want[proofKey{kept.id, c.end(), topic}]++
		}
	}
	p.tried++
	p.mu.Lock()
	got := p.kept
	p.kept = map[proofKey]int{}
	p.mu.Unlock()
	for k, n := range got {
		if n != want[k] {
			p.fault("LEAK", p.probes[k.id], fmt.Sprintf("of a retained message: %s has it on %q %d times, may have it %d times, for its subscription to %q", k.to, k.topic, n, want[k], filter))
		}
	}
	for k, n := range want {
		if got[k] != n {
			p.fault("MISSING", p.probes[k.id], fmt.Sprintf("a retained message: %s has not got it on %q for its subscription to %q", k.to, k.topic, filter))
		}
	}
	if len(c.subs) > 6 && !existed && filter != proofMark(c.thing) && filter != proofAnswers {
		id := c.id()
		c.write(mqttPacket(0xA2, binary.BigEndian.AppendUint16(nil, id), c.props(), mqttText(filter)))
		_, err := c.acked(id)
		p.must(err)
		delete(c.subs, filter)
	}
}

// readRetained reads a retained message by HTTPS, and the list of them.
func (p *proof) readRetained() {
	c := p.anyone()
	get := func(path string) (int, []byte) {
		answer, err := p.web[c.thing].Get("https://" + p.g.discovery.Addrs()[0].String() + "/retainedMessage" + path)
		p.must(err)
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		p.must(err)
		return answer.StatusCode, text
	}
	var may []string
	p.tried++
	for topic, kept := range p.retained {
		if p.table.allows(kept.from, topic, c.end()) {
			may = append(may, topic)
		}
	}
	slices.Sort(may)
	if code, text := get("?maxResults=200"); code == http.StatusOK {
		var list struct {
			RetainedTopics []struct {
				Topic string `json:"topic"`
			} `json:"retainedTopics"`
			NextToken string `json:"nextToken"`
		}
		p.must(json.Unmarshal(text, &list))
		var got []string
		for _, k := range list.RetainedTopics {
			got = append(got, k.Topic)
		}
		if slices.Sort(got); list.NextToken == "" && !slices.Equal(got, may) {
			p.fault("LEAK", nil, fmt.Sprintf("or loss in the list of retained messages: %s sees %q, want %q", c.thing, got, may))
		}
	}
	_, topic := p.way(p.table, []string{c.end()})
	want := http.StatusNotFound
	if kept := p.retained[topic]; kept != nil {
		if want = http.StatusForbidden; slices.Contains(may, topic) {
			want = http.StatusOK
		}
	}
	if code, text := get("/" + url.QueryEscape(topic)); code != want && code != http.StatusTooManyRequests {
		p.fault("LEAK", p.retained[topic], fmt.Sprintf("or loss of a retained message: %s asks for %q and gets %d %s, want %d", c.thing, topic, code, text, want))
	}
}

package cloudtest

import "slices"

// Policy is what a thing may do; the zero value allows all. What both lists name
// is denied.
type Policy struct {
	// Clients, when not nil, are the only client ids it may use.
	Clients []string
	// Publish and Receive, when not nil, are topic filters of all that it may
	// publish, and is sent. Subscribe, when not nil, are all filters that it may
	// subscribe to, by their very text: to AWS the wildcards in a filter are
	// plain characters.
	Publish, Subscribe, Receive []string
	// DenyPublish names topics, DenySubscribe filters (whose text, or all of
	// whose topics, match), DenyReceive topics that are not sent to it.
	DenyPublish, DenySubscribe, DenyReceive []string
	// Shadows, when not nil, are the only things whose shadows it may use over
	// HTTPS, and list.
	Shadows []string
	// DenyShadow forbids the HTTPS shadow operations with 403.
	DenyShadow bool
}

// LeastPolicy is the least that a gateway needs to keep the shadows of things in
// step: the answers of all shadows are subscribed to, those of its things reach it.
func LeastPolicy(client string, things ...string) Policy {
	p := Policy{
		Clients: []string{client},
		Publish: []string{}, Receive: []string{}, Shadows: append([]string{}, things...),
		Subscribe: []string{
			"$aws/things/+/shadow/+/accepted", "$aws/things/+/shadow/+/rejected",
			"$aws/things/+/shadow/name/+/+/accepted", "$aws/things/+/shadow/name/+/+/rejected",
		},
	}
	for _, thing := range things {
		base := "$aws/things/" + thing + "/shadow/"
		for _, operation := range []string{"get", "update", "delete"} {
			p.Publish = append(p.Publish, base+operation, base+"name/+/"+operation)
		}
		for _, answer := range []string{"+/accepted", "+/rejected", "name/+/+/accepted", "name/+/+/rejected"} {
			p.Receive = append(p.Receive, base+answer)
		}
	}
	return p
}

func (p *Policy) mayPublish(topic string) bool {
	return (p.Publish == nil || anyMatches(p.Publish, topic)) && !anyMatches(p.DenyPublish, topic)
}

func (p *Policy) mayReceive(topic string) bool {
	return (p.Receive == nil || anyMatches(p.Receive, topic)) && !anyMatches(p.DenyReceive, topic)
}

func (p *Policy) maySubscribe(filter string) bool {
	if p.Subscribe != nil && !slices.Contains(p.Subscribe, filter) {
		return false
	}
	return !slices.ContainsFunc(p.DenySubscribe, func(denied string) bool {
		return denied == filter || matches(denied, filter)
	})
}

// mayUse tells whether the shadows of a thing may be used over HTTPS.
func (p *Policy) mayUse(thing string) bool {
	return !p.DenyShadow && (p.Shadows == nil || slices.Contains(p.Shadows, thing))
}

// SetPolicy sets the policy of a thing, from the next request on; "" is for all
// things without their own.
func (c *Cloud) SetPolicy(thing string, p Policy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policies[thing] = p
}

func (b *broker) policy(thing string) *Policy {
	p, ok := b.policies[thing]
	if !ok {
		p = b.policies[""]
	}
	return &p
}

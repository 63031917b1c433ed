package main

import (
	"slices"
	"strings"
)

// The oracle of the gate, written from docs/group-file.md and nothing else: it looks at
// each row, puts the names of both ends in place of the placeholders, and matches level by
// level. It shares no code with the gateway.

// proofTable is a group as its file says it.
type proofTable struct {
	Own     bool
	Devices []proofDevice
	Rows    []proofRow
}

type proofDevice struct {
	Thing  string   `json:"thing"`
	Labels []string `json:"labels,omitempty"`
	Shadow string   `json:"shadow,omitempty"`
	Own    *bool    `json:"own_shadows,omitempty"` // nil: as the group
	Print  string   `json:"certificate"`
}

// proofRow is a row. Its ends are as in the file.
type proofRow struct {
	From   []string `json:"from"`
	Topic  string   `json:"topic,omitempty"`
	To     []string `json:"to,omitempty"`
	Shadow string   `json:"shadow,omitempty"`
	May    []string `json:"may,omitempty"`

	Durable bool `json:"durable,omitempty"` // which changes nothing of who may what
}

// Ends that are no device. A device is "device:" and its thing.
const (
	proofCloud  = "cloud"
	proofShadow = "shadow"
	proofDimmer = "gpio:dimmer"
	proofBell   = "gpio:bell"
)

// proofSlow is the function that takes its time when the test wants it to.
const proofSlow = "function:slow"

var proofFunctions = []string{"function:echo", "function:car", proofSlow}

// proofServices are all ends that are no device.
var proofServices = append([]string{proofCloud, proofShadow, proofDimmer, proofBell}, proofFunctions...)

// device returns the device that an end is; nil: it is none of the group.
func (t *proofTable) device(end string) *proofDevice {
	thing, ok := strings.CutPrefix(end, "device:")
	if !ok {
		return nil
	}
	i := slices.IndexFunc(t.Devices, func(d proofDevice) bool { return d.Thing == thing })
	if i < 0 {
		return nil
	}
	return &t.Devices[i]
}

// names tells whether a side of a row names the end.
func (t *proofTable) names(side []string, end string) bool {
	d := t.device(end)
	for _, text := range side {
		label, isLabel := strings.CutPrefix(text, "label:")
		switch {
		case text == "device:*":
			if d != nil {
				return true
			}
		case isLabel:
			if d != nil && slices.Contains(d.Labels, label) {
				return true
			}
		case text == end, "device:"+text == end:
			return true
		}
	}
	return false
}

// stranger tells whether an end is a thing that is no device of the group.
func (t *proofTable) stranger(end string) bool {
	return strings.HasPrefix(end, "device:") && t.device(end) == nil
}

// allows tells whether a message of from on topic may go to an end.
func (t *proofTable) allows(from, topic, to string) bool {
	return t.passes(from, topic, to, []string{"accepted", "rejected", "watch"})
}

// passes is allows when of what shadow rows let through only these kinds of answers count.
func (t *proofTable) passes(from, topic, to string, answers []string) bool {
	if t.stranger(from) || t.stranger(to) {
		return false
	}
	shadowRow := func(user []string, thing string, may []string) bool {
		if may == nil {
			may = []string{"get", "update", "delete", "watch"}
		}
		asks := to == proofShadow && t.names(user, from) && proofAsk(thing, topic, may)
		hears := from == proofShadow && t.names(user, to) && proofHear(thing, topic, may, answers)
		return asks || hears
	}
	for _, r := range t.Rows {
		if r.Shadow != "" {
			if shadowRow(r.From, r.Shadow, r.May) {
				return true
			}
			continue
		}
		filter := strings.ReplaceAll(r.Topic, "${from}", strings.TrimPrefix(from, "device:"))
		filter = strings.ReplaceAll(filter, "${to}", strings.TrimPrefix(to, "device:"))
		if t.names(r.From, from) && t.names(r.To, to) && proofMatch(filter, topic) {
			return true
		}
	}
	for _, d := range t.Devices {
		own := t.Own
		if d.Own != nil {
			own = *d.Own
		}
		if own && d.Shadow != "none" && shadowRow([]string{"device:" + d.Thing}, d.Thing, nil) {
			return true
		}
	}
	return false
}

// publishes tells whether any row lets from publish on topic.
func (t *proofTable) publishes(from, topic string) bool {
	for _, d := range t.Devices {
		if t.allows(from, topic, "device:"+d.Thing) {
			return true
		}
	}
	return slices.ContainsFunc(proofServices, func(to string) bool { return t.allows(from, topic, to) })
}

// calls tells whether a function is called with the message: with the answers to its own
// requests it is not.
func (t *proofTable) calls(from, topic, function string) bool {
	return t.passes(from, topic, function, []string{"watch"})
}

// shadowless tells whether a thing is a device that has no shadow.
func (t *proofTable) shadowless(thing string) bool {
	d := t.device("device:" + thing)
	return d != nil && d.Shadow == "none"
}

// proofRequest takes the topic of a request to the shadow service apart.
func proofRequest(topic string) (thing, op string, ok bool) {
	l := strings.Split(topic, "/")
	switch {
	case len(l) == 5 && l[3] == "shadow":
		thing, op = l[2], l[4]
	case len(l) == 7 && l[3] == "shadow" && l[4] == "name":
		thing, op = l[2], l[6]
	default:
		return "", "", false
	}
	return thing, op, l[0] == "$aws" && l[1] == "things" && slices.Contains([]string{"get", "update", "delete"}, op)
}

// proofAsk tells whether the topic is a request for a thing's shadow that one may make.
func proofAsk(thing, topic string, may []string) bool {
	of, op, ok := proofRequest(topic)
	return ok && of == thing && slices.Contains(may, op)
}

// proofHear tells whether the topic is an answer about a thing's shadow that one may have.
func proofHear(thing, topic string, may, kinds []string) bool {
	i := strings.LastIndexByte(topic, '/')
	if i < 0 {
		return false
	}
	of, op, ok := proofRequest(topic[:i])
	if !ok || of != thing {
		return false
	}
	switch tail := topic[i+1:]; tail {
	case "accepted", "rejected":
		return slices.Contains(may, op) && slices.Contains(kinds, tail)
	case "delta", "documents":
		return op == "update" && slices.Contains(may, "watch") && slices.Contains(kinds, "watch")
	}
	return false
}

// proofMatch tells whether a filter matches a topic.
func proofMatch(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && (strings.HasPrefix(filter, "+") || strings.HasPrefix(filter, "#")) {
		return false
	}
	var match func(f, t []string) bool
	match = func(f, t []string) bool {
		switch {
		case len(f) == 0:
			return len(t) == 0
		case f[0] == "#":
			return true
		case len(t) == 0:
			return false
		}
		return (f[0] == "+" || f[0] == t[0]) && match(f[1:], t[1:])
	}
	return match(strings.Split(filter, "/"), strings.Split(topic, "/"))
}

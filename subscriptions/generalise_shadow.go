package subscriptions

import (
	"fmt"
	"slices"

	"greengate/core/message"
)

// shadowUse is what an endpoint did, or wanted to hear, of the shadows of a
// thing.
type shadowUse struct {
	asked   ops // what it asked for, and opWatch
	flows   int
	answers int // of the flows, those from the shadow service
}

type shadowPair struct {
	user  message.Endpoint
	thing string
}

// shadowRows makes the rows for the flows of shadows, and returns the other
// flows. Who only listens to the answers to others gets no right to ask: his
// flows are among the others, and become rows from shadow.
func (g *generaliser) shadowRows(flows []Flow) (others []Flow) {
	uses := map[shadowPair]*shadowUse{}
	var pairs []shadowPair
	pairOf := func(f Flow) (p shadowPair, s shadowTopic, ok bool) {
		s, ok = parseShadowTopic(f.Topic)
		switch {
		case !ok || message.CheckThing(s.thing) != nil:
			return p, s, false
		case s.reply && f.From.Kind == message.Shadow && f.To.Kind != message.Shadow:
			return shadowPair{f.To, s.thing}, s, true
		case !s.reply && f.To.Kind == message.Shadow && f.From.Kind != message.Shadow:
			return shadowPair{f.From, s.thing}, s, true
		}
		return p, s, false
	}
	for _, f := range flows {
		p, s, ok := pairOf(f)
		if !ok {
			continue
		}
		u := uses[p]
		if u == nil {
			u = &shadowUse{}
			uses[p] = u
			pairs = append(pairs, p)
		}
		if !s.reply || s.op == opWatch {
			u.asked |= s.op
		}
	}
	for _, f := range flows {
		if p, s, ok := pairOf(f); ok && uses[p].asked&s.op != 0 {
			uses[p].flows++
			if s.reply {
				uses[p].answers++
			}
		} else {
			others = append(others, f)
		}
	}
	pairs = slices.DeleteFunc(pairs, func(p shadowPair) bool { return uses[p].asked == 0 })
	pairs = g.ownShadowRows(pairs, uses)
	g.shadowGroups(pairs, uses)
	return others
}

// ownShadowRows makes two rows for devices that use shadows of their own, and
// returns the other pairs. A shadow row has no placeholder, so it would take one
// for each device.
func (g *generaliser) ownShadowRows(pairs []shadowPair, uses map[shadowPair]*shadowUse) []shadowPair {
	var own set
	flows, answers := 0, 0
	isOwn := func(p shadowPair) bool { return p.user == message.DeviceEndpoint(p.thing) }
	for _, p := range pairs {
		if isOwn(p) {
			own.add(g.ends.of(p.user))
			flows += uses[p].flows
			answers += uses[p].answers
		}
	}
	if g.exact || own.len() < 2 {
		return pairs
	}
	words := g.ends.words(own)
	besides := []string{"all that a device may do with its own shadows, the named ones too; `own_shadows: true` says the same without a row"}
	g.p.Rows = append(g.p.Rows,
		proposed(words, []string{"shadow"}, shadowPrefix+"${from}/shadow/#", flows-answers, besides),
		proposed([]string{"shadow"}, words, shadowPrefix+"${to}/shadow/#", answers, besides))
	return slices.DeleteFunc(pairs, isOwn)
}

// shadowGroups makes a row for all who do the same with the shadows of a thing.
func (g *generaliser) shadowGroups(pairs []shadowPair, uses map[shadowPair]*shadowUse) {
	type group struct {
		thing string
		may   ops
	}
	users, flows := map[group]set{}, map[group]int{}
	var order []group
	for _, p := range pairs {
		k := group{p.thing, uses[p].asked}
		if users[k] == nil {
			order = append(order, k)
		}
		s := users[k]
		s.add(g.ends.of(p.user))
		users[k] = s
		flows[k] += uses[p].flows
	}
	for _, k := range order {
		words := g.ends.words(users[k])
		y := yamlRow{from: words, shadow: k.thing, may: k.may}
		row := Row{From: words, Shadow: k.thing, Text: y.String()}
		if k.may != allOps {
			row.May = k.may.words()
		}
		g.p.Rows = append(g.p.Rows, Proposed{
			Row: row, Text: y.String(), Flows: flows[k],
			Besides: []string{fmt.Sprintf("%s of the classic and of every named shadow of %s, with the answers", andList(k.may.words()), k.thing)},
		})
	}
}

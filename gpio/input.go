package gpio

import "time"

// stateInput is an input with two states, on and off, which it tells from the
// start on.
type stateInput struct {
	*contact
	silent
	tells edgeSet // the edges of the line that go to the topic
	low   bool    // it is on while the line is low
}

func newStateInput(b *Bank, c Input, path string) *stateInput {
	i := &stateInput{tells: edgesOf(c.Edges), low: c.ActiveLow}
	i.contact = newContact(b, &contact{
		name: c.Name, kind: "input", path: path, pin: c.Pin, pull: c.Pull,
		topic: c.Topic, thing: c.Thing, key: c.Key, listener: i,
	}, c.Debounce)
	return i
}

// begin tells the level at start, whichever edges are told.
func (i *stateInput) begin(level bool) {
	i.tell("start", change{level, time.Now(), true})
}

// change tells an edge of the line. The shadow gets both: it has the state.
func (i *stateInput) change(c change) {
	if i.tells.has(c.level) {
		i.tell(word(c.level, "rising", "falling"), c)
		return
	}
	i.shadow.owe(boolean(c.level != i.low))
}

func (i *stateInput) tell(what string, c change) {
	on := c.level != i.low
	i.publish(inputEvent{i.name, on, what, i.stamp(c.at, c.looked)})
	i.shadow.owe(boolean(on))
}

func (i *stateInput) state(mode string) State {
	s := i.common(mode)
	s.Level = word(i.now() != i.low, "on", "off")
	return s
}

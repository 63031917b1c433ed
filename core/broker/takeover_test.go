package broker_test

import (
	"slices"
	"testing"

	"greengate/core/message"
	"greengate/core/router"
)

// slowGate takes its time over one topic.
type slowGate struct {
	rows
	asked, release chan struct{}
}

func (g *slowGate) Lookup(from message.Endpoint, topic string) router.Passage {
	if topic == "slow" {
		close(g.asked)
		<-g.release
	}
	return g.rows.Lookup(from, topic)
}

// What a connection has sent and the broker has not looked at when another one takes over
// does not come after what the other one sends; what the broker is just handling comes before.
func TestTakeOverKeepsTheOrder(t *testing.T) {
	g := &slowGate{everything, make(chan struct{}), make(chan struct{})}
	s := start(t, g)
	b := s.connect("b")
	b.subscribe(1, "t", "slow")
	old := s.connect("a", connectOptions{v5: true})
	old.write(slices.Concat(
		packet(0x30, text("slow"), properties(), []byte("handled")),
		packet(0x32, text("t"), old.id(), properties(), []byte("old")),
	))
	<-g.asked
	a := s.connect("a", connectOptions{v5: true})
	a.send("t", 1, "new")
	for range 100 { // while others are served
		b.write([]byte{0xC0, 0})
		b.expect(0xD0)
	}
	close(g.release)
	a.expect(0x40)
	if code := old.closed(); code != 0x8E {
		t.Errorf("the connection before ends with %#x", code)
	}
	s.until("it is over", func() bool { return s.broker.Connections() == 2 })
	a.publish("t", 1, "newer")
	for _, want := range []string{"handled", "new", "newer"} {
		if got := b.message(); got.payload != want {
			t.Errorf("got %q, want %q", got.payload, want)
		}
	}
}

package cloud

import (
	"slices"
	"sync"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// refusing is an inbox in which the first messages on topic "bad" are not safe.
type refusing struct {
	inbox
	link *Link
	mu   sync.Mutex
	left int
}

func (in *refusing) receive(p *Publish, ack func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if p.Topic == "bad" && in.left > 0 {
		in.left--
		in.inbox.receive(p, func() {})
		in.link.Redeliver()
		return
	}
	in.inbox.receive(p, ack)
}

// What is not safe here stays with the cloud, which sends it again at the next
// connection, with what came after it; till then the link goes on.
func TestRedeliver(t *testing.T) {
	versions(t, func(t *testing.T, version int) {
		var s wishes
		s.set("bad", "good")
		in := &refusing{left: 2}
		inWorld(t, cloudtest.Options{}, func(o *Options) { o.Version, o.Subscriptions, o.Receive = version, s.get, in.receive }, func(w *world) {
			in.mu.Lock()
			in.link = w.link
			in.mu.Unlock()
			w.publish("good", "1")
			w.publish("bad", "2")
			w.publish("good", "3")
			w.within(time.Second, "all came", func() bool { return len(in.got()) == 3 })
			o := newOutcome()
			<-time.After(50 * time.Second)
			w.sendAll(o, 5)
			w.within(time.Second, "telemetry goes on", func() bool { return o.len() == 5 })
			w.publish("good", "4")
			again := []string{"bad 2", "good 3", "good 4"} // 1 had its PUBACK
			want := append([]string{"good 1", "bad 2", "good 3", "good 4"}, again...)
			w.within(15*time.Second, "sent again", func() bool { return slices.Equal(in.got(), want) })
			want = append(want, again...) // it was not safe a second time
			w.within(65*time.Second, "sent once more", func() bool { return slices.Equal(in.got(), want) })
			// Now all have their PUBACK.
			w.loses(time.Second, func() { w.cloud.Cut("", true) })
			w.connected(5 * time.Minute)
			<-time.After(10 * time.Minute)
			if got := in.got(); !slices.Equal(got, want) || !w.link.Connected() {
				t.Errorf("came %q, want %q", got, want)
			}
		})
	})
}

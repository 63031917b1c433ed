package shadows_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// A restored gateway that was in step when the backup was made takes all that the cloud has,
// whatever has happened since, and writes nothing there.
func TestRandomRestore(t *testing.T) {
	for i := range 10 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			things := map[string]shadows.Direction{}
			for j := range 10 {
				things[fmt.Sprintf("T%d", j)] = shadows.Both
			}
			inSite(t, cloudtest.Options{Readings: randomReadings(rng)}, things, func(s *site) {
				s.pardon = []string{"keep-alive", "shadow-in-flight", "connect-rate", "publish-rate"}
				p := &player{site: s, rng: rng, number: i, tracks: map[key]*track{}}
				for thing := range things {
					p.tracks[key{thing, ""}], p.tracks[key{thing, "n"}] = &track{}, &track{}
				}
				p.within(time.Minute, "connected", p.inStep)
				p.apart()
				p.calm()
				file := s.backup()
				for range 1 + rng.IntN(3) {
					if rng.IntN(2) == 0 {
						p.apart()
					} else {
						p.busy()
					}
				}
				want := map[key]state{}
				for k := range p.tracks {
					want[k], _ = p.cloudHas(k.thing, k.name)
				}
				p.noteAll("restore")
				s.writes.Store(0)
				s.restore(file)
				p.settle()
				for k, w := range want {
					l, _ := p.localHas(k.thing, k.name)
					c, _ := p.cloudHas(k.thing, k.name)
					if !sameState(l, w) || !sameState(c, w) {
						p.failed(k, "local %v, cloud %v, want %v", l, c, w)
					}
				}
				if s.writes.Load() != 0 {
					t.Errorf("%d writes", s.writes.Load())
				}
			})
		})
	}
}

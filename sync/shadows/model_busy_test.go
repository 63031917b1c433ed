package shadows_test

import (
	"maps"
	"slices"
	"time"

	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// busy lets both sides change while the link works, breaks, lies and the process
// is killed. When all is over, the sides are equal and each leaf was written by
// somebody.
func (p *player) busy() {
	p.noteAll("busy")
	p.lost = p.discards
	p.tape.take()
	writes, operations := p.writes.Load(), int64(0)
	for range 20 + p.rng.IntN(60) {
		switch n := p.rng.IntN(20); {
		case n < 13:
			p.operate(p.keys()[0], p.side())
			operations++
		case n < 16:
			p.fault()
		case n < 17:
			p.noteAll("replay")
			messages := p.tape.take()
			p.rng.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
			p.replay(messages...)
		case n < 18:
			p.noteAll("cut")
			p.cloud.Cut(core, p.rng.IntN(2) == 0)
		case n < 19:
			p.noteAll("kill")
			p.kill()
		default:
			p.noteAll("heal")
			p.cloud.Heal()
		}
		<-time.After([]time.Duration{0, 0, time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond, time.Second, 20 * time.Second}[p.rng.IntN(7)])
	}
	p.noteAll("heal at the end")
	p.cloud.Heal()
	if p.lost { // what AWS does not do: it is found at a new connection
		p.cloud.Cut(core, true)
	}
	p.settle()
	// Each operation is written once, and once more for each answer that was lost
	// or refused: there is no storm.
	if n := p.writes.Load() - writes; n > 3*operations+40 {
		p.Fatalf("site %d: %d writes for %d operations", p.number, n, operations)
	}
	for _, k := range p.keys() {
		p.explain(k)
	}
}

func (p *player) explain(k key) {
	x := p.tracks[k]
	local, _ := p.localHas(k.thing, k.name)
	cloud, _ := p.cloudHas(k.thing, k.name)
	switch p.things[k.thing] {
	case shadows.Both:
		if !sameState(local, cloud) {
			p.failed(k, "local %v, cloud %v", local, cloud)
		}
		if path := unexplained(x.base, local, x.local, x.cloud); path != "" {
			p.failed(k, "base %v became %v: %s", x.base, local, path)
		}
	case shadows.Up:
		p.explainOneWay(k, lastOf(x.local, x.base), local, cloud)
	case shadows.Down:
		p.explainOneWay(k, lastOf(x.cloud, x.base), cloud, withReported(local, cloud))
		if cloud != nil {
			p.explainReported(k, local, cloud)
		}
	}
	p.settled(k, local, cloud)
}

// withReported is a state with what is reported in another one.
func withReported(s, other state) state {
	if s == nil || other == nil {
		return s
	}
	out := maps.Clone(s)
	delete(out, "reported")
	if r := other["reported"]; r != nil {
		out["reported"] = r
	}
	return out
}

// explainReported wants what is reported here, with direction down, as it was written
// last on either side; where the cloud wrote what it had, it may have stayed.
func (p *player) explainReported(k key, local, cloud state) {
	x := p.tracks[k]
	here, there := write{touched: map[string]bool{}, after: x.here}, x.cloud
	for path := range x.here.leaves() {
		here.touched[path] = same(cloud.at(path), x.base.at(path))
	}
	maps.DeleteFunc(here.touched, func(_ string, stayed bool) bool { return !stayed })
	if slices.ContainsFunc(x.local, func(w write) bool { return w.after == nil }) { // and it was made again as it was there
		there = append([]write{{after: x.base}}, there...)
	}
	if path := unexplained(withReported(state{}, x.here), withReported(state{}, local), append([]write{here}, x.local...), there); path != "" {
		p.failed(k, "here %v became %v: %s", x.here, local, path)
	}
}

// explainOneWay wants the leading side as it was written there last, and the other
// equal, unless only that one has a document.
func (p *player) explainOneWay(k key, want, from, to state) {
	if !sameState(from, want) {
		p.failed(k, "the leading side has %v, want %v as it was written last", from, want)
	}
	if from != nil && !sameState(from, to) {
		p.failed(k, "the leading side has %v, the other %v", from, to)
	}
}

func lastOf(writes []write, base state) state {
	if len(writes) == 0 {
		return base
	}
	return writes[len(writes)-1].after
}

// fault lets one thing go wrong.
func (p *player) fault() {
	n := cloudtest.Count(1 + p.rng.IntN(3))
	faults := []struct {
		name string
		set  func(*cloudtest.Faults)
	}{
		{"409", func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 409, n }},
		{"429", func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 429, n }},
		{"500", func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 500, n }},
		{"503", func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 503, n }},
		{"403", func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 403, n }},
		{"413", func(f *cloudtest.Faults) { f.ShadowCode, f.ShadowCount = 413, n }},
		{"request lost", func(f *cloudtest.Faults) { f.ShadowLost = n }},
		{"answer lost", func(f *cloudtest.Faults) { f.ShadowAnswerLost = n }},
		{"answer late", func(f *cloudtest.Faults) { f.ShadowDelay = time.Duration(p.rng.IntN(15000)) * time.Millisecond }},
		{"reordered", func(f *cloudtest.Faults) { f.ShadowReorder = true }},
		{"twice", func(f *cloudtest.Faults) { f.DeliverTwice = 5 }},
		{"swapped", func(f *cloudtest.Faults) { f.DeliverSwapped = n }},
		{"delivery lost", func(f *cloudtest.Faults) { f.DeliverLost = n }},
		{"publish lost", func(f *cloudtest.Faults) { f.PublishLost = n }},
		{"puback lost", func(f *cloudtest.Faults) { f.PubackLost = n }},
		{"puback twice", func(f *cloudtest.Faults) { f.PubackTwice = n }},
		{"throttled", func(f *cloudtest.Faults) { f.PubackCode, f.PubackCount = 0x97, n }},
		{"session lost", func(f *cloudtest.Faults) { f.SessionLost = n }},
		{"disconnected", func(f *cloudtest.Faults) { f.DisconnectAfter, f.DisconnectCode = int(n), 0x8B }},
		{"slow", func(f *cloudtest.Faults) { f.Latency = time.Duration(p.rng.IntN(400)) * time.Millisecond }},
		{"plug pulled", func(f *cloudtest.Faults) { f.Blackhole = true }},
		{"plug in", func(f *cloudtest.Faults) { f.Blackhole = false }},
		{"stalled", func(f *cloudtest.Faults) { f.Stall = true }},
		{"not stalled", func(f *cloudtest.Faults) { f.Stall = false }},
		{"own clock wrong", func(*cloudtest.Faults) { p.skew.Store(int64(time.Duration(p.rng.IntN(2000)-1000) * time.Hour)) }},
		{"clock wrong", func(f *cloudtest.Faults) { f.ClockOffset = time.Duration(p.rng.IntN(2000)-1000) * time.Hour }},
	}
	f := faults[p.rng.IntN(len(faults))]
	p.noteAll("fault %s (%d)", f.name, n)
	p.lost = p.lost || f.name == "swapped" || f.name == "delivery lost"
	p.cloud.Change(f.set)
}

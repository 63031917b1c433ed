package shadows_test

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// The long target:
//
//	go test ./sync/shadows -run TestSequences -sequences 100000 -timeout 3h
//
// A failure names its site; -site N runs that one alone, and tells all.
var (
	sequences = flag.Int("sequences", 1000, "random sequences of operations that TestSequences plays")
	oneSite   = flag.Int("site", -1, "the only site that TestSequences plays")
)

// shadowsOfSite is how many sequences go on at a time, in one site.
const shadowsOfSite = 20

// Random sequences of operations on both sides, with the link up, away and at
// fault, and kills: the two documents are equal at the end of each round, and each
// leaf is what the rules say.
func TestSequences(t *testing.T) {
	if *oneSite >= 0 {
		playSite(t, *oneSite)
		return
	}
	for i := range (*sequences + shadowsOfSite - 1) / shadowsOfSite {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			playSite(t, i)
		})
	}
}

func playSite(t *testing.T, i int) {
	rng := rand.New(rand.NewPCG(2, uint64(i)))
	things := map[string]shadows.Direction{}
	for j := range shadowsOfSite / 2 {
		things[fmt.Sprintf("T%d", j)] = shadows.Both
	}
	things["T8"], things["T9"] = shadows.Up, shadows.Down
	readings := randomReadings(rng)
	inSite(t, cloudtest.Options{Readings: readings}, things, func(s *site) {
		// A cloud that is late, and a line that becomes faster, break limits by
		// themselves.
		s.pardon = []string{"keep-alive", "shadow-in-flight", "connect-rate", "publish-rate"}
		p := &player{site: s, rng: rng, number: i, tracks: map[key]*track{}, discards: readings.ExcessDiscarded}
		for thing := range things {
			p.tracks[key{thing, ""}], p.tracks[key{thing, "n"}] = &track{}, &track{}
		}
		p.play()
	})
}

// randomReadings chooses among the open doubts about AWS.
func randomReadings(rng *rand.Rand) cloudtest.Readings {
	coin := func() bool { return rng.IntN(2) == 0 }
	return cloudtest.Readings{
		DeleteCounts: coin(), MissingVersion: cloudtest.MissingVersion(rng.IntN(5)), PreviousOfFirst: coin(),
		DeltaMetadata: coin(), ErrorTimestamp: coin(), NullsLeaveNothing: coin(), NullsUnstamped: coin(),
		ArrayStamp: coin(), SizePerSection: coin(), NamedAs404: coin(), ExcessDiscarded: coin(),
	}
}

type key struct{ thing, name string }

// track is what the model knows of a shadow.
type track struct {
	base         state // the last that both sides had, or the leading one; nil: no shadow
	here         state // what the gateway had then
	local, cloud []write
	cloudVersion int64 // when both were last in step
	log          []string
}

// player plays the sequences of a site.
type player struct {
	*site
	rng    *rand.Rand
	number int
	tracks map[key]*track
	lost   bool // a notification may be, and no other follow it

	discards bool // the cloud discards what is too much at once
}

func (p *player) play() {
	p.within(time.Minute, "connected", p.inStep)
	for range 4 + p.rng.IntN(4) {
		switch p.rng.IntN(5) {
		case 0:
			p.calm()
		case 1, 2:
			p.apart()
		default:
			p.busy()
		}
	}
	p.again()
}

// keys are the shadows, in an order of the generator.
func (p *player) keys() []key {
	var all []key
	for thing := range p.things {
		all = append(all, key{thing, ""}, key{thing, "n"})
	}
	slices.SortFunc(all, byName)
	p.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func (p *player) note(k key, format string, args ...any) {
	x := p.tracks[k]
	x.log = append(x.log, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (p *player) noteAll(format string, args ...any) {
	for k := range p.tracks {
		p.note(k, format, args...)
	}
}

func (p *player) failed(k key, format string, args ...any) {
	p.Helper()
	text := fmt.Sprintf(format, args...)
	p.Fatalf("site %d, shadow %v (%v): %s\n%s\nhistory %s\n%s", p.number, k, p.things[k.thing], text, strings.Join(p.tracks[k].log, "\n"), p.journal(k), p.report())
}

func (p *player) journal(k key) string {
	entries, err := p.site.gateway.local.History(context.Background(), k.thing, k.name, 12, 0)
	text, _ := json.Marshal(entries)
	return fmt.Sprint(strings.ReplaceAll(string(text), `{"id"`, "\n"+`{"id"`), err)
}

// calm does one operation at a time, and waits for each to be on both sides.
func (p *player) calm() {
	p.noteAll("calm")
	for range 5 {
		k := p.keys()[0]
		p.operate(k, p.side())
		p.check(p.expect())
	}
}

// apart cuts the link, lets both sides change, and joins them again.
func (p *player) apart() {
	p.noteAll("apart")
	p.away()
	for range 5 + p.rng.IntN(50) {
		p.operate(p.keys()[0], p.side())
		<-time.After([]time.Duration{0, 0, time.Millisecond, time.Second, time.Hour, 49 * time.Hour}[p.rng.IntN(6)])
		if p.rng.IntN(20) == 0 {
			p.noteAll("kill")
			p.kill()
		}
	}
	want := p.expect()
	p.noteAll("together")
	p.back()
	p.check(want)
}

// outcome is what must become of a shadow.
type outcome struct {
	local, cloud               state // expected
	free                       bool  // the leading side has none, and had none: nothing is promised of the other
	clashes                    []clash
	hadLocal, hadCloud         state
	localVersion, cloudVersion int64
	since                      time.Time
}

// expect says what the rules make of the documents that the two sides have now.
func (p *player) expect() map[key]outcome {
	all := map[key]outcome{}
	for k, x := range p.tracks {
		o := outcome{since: p.now()}
		o.hadLocal, o.localVersion = p.localHas(k.thing, k.name)
		o.hadCloud, o.cloudVersion = p.cloudHas(k.thing, k.name)
		switch direction := p.things[k.thing]; {
		case direction == shadows.Both:
			o.local, o.clashes = merge(x.base, o.hadLocal, o.hadCloud)
			o.cloud = o.local
		case direction == shadows.Up:
			o.local, o.cloud, o.free = o.hadLocal, o.hadLocal, x.base == nil && o.hadLocal == nil
		default:
			o.local, o.cloud, o.free = mergeDown(x.base, o.hadLocal, o.hadCloud), o.hadCloud, x.base == nil && o.hadCloud == nil
		}
		all[k] = o
	}
	return all
}

// check waits until all is in step, and compares with what was expected.
func (p *player) check(want map[key]outcome) {
	p.Helper()
	p.settle()
	for _, k := range p.keys() {
		x, o := p.tracks[k], want[k]
		local, localVersion := p.localHas(k.thing, k.name)
		cloud, cloudVersion := p.cloudHas(k.thing, k.name)
		switch {
		case !o.free && (!sameState(local, o.local) || !sameState(cloud, o.cloud)):
			p.failed(k, "base %v, local %v, cloud %v\nbecame local %v, cloud %v,\nwant %v and %v", x.base, o.hadLocal, o.hadCloud, local, cloud, o.local, o.cloud)
		case sameState(local, o.hadLocal) && localVersion > o.localVersion && !p.putBack(k, o.hadLocal):
			p.failed(k, "a version of the gateway was raised for nothing: %d, was %d", localVersion, o.localVersion)
		case localVersion > o.localVersion+p.changesDue(k, o) && o.hadLocal != nil && p.things[k.thing] == shadows.Both:
			p.failed(k, "too many changes of the gateway: version %d, was %d", localVersion, o.localVersion)
		case sameState(cloud, o.hadCloud) && cloudVersion > o.cloudVersion:
			p.failed(k, "an echo to the cloud: version %d, was %d", cloudVersion, o.cloudVersion)
		case o.hadCloud != nil && cloud != nil && cloudVersion > o.cloudVersion+1:
			p.failed(k, "more than one write to the cloud: version %d, was %d", cloudVersion, o.cloudVersion)
		case len(o.clashes) > 0 && !p.conflictTold(k, o.since):
			p.failed(k, "a conflict is not in the journal: %v", o.clashes)
		}
		p.settled(k, local, cloud)
	}
}

// changesDue is how many changes a merge may make here: one, or one for each of the cloud's,
// if the session brings what it has kept before the link is known to be there again.
func (p *player) changesDue(k key, o outcome) int64 {
	return max(1, o.cloudVersion-p.tracks[k].cloudVersion)
}

// putBack tells whether the direction has put a change of the gateway back at once, to what
// both had; the cloud may have made the same change meanwhile, which then comes down.
func (p *player) putBack(k key, local state) bool {
	return p.things[k.thing] == shadows.Down && !sameState(local, p.tracks[k].base)
}

// conflictTold tells whether the journal has a conflict since then.
func (p *player) conflictTold(k key, since time.Time) bool {
	entries, err := p.site.gateway.local.History(context.Background(), k.thing, k.name, 50, 0)
	if err != nil {
		p.failed(k, "history: %v", err)
	}
	for _, e := range entries {
		if e.At >= since.UnixMilli() && len(e.Conflicts) > 0 {
			return true
		}
	}
	return false
}

// settled begins anew: both sides have this, or one of them has what the other may
// not have.
func (p *player) settled(k key, local, cloud state) {
	x := p.tracks[k]
	x.base, x.here, x.local, x.cloud = local, local, nil, nil
	_, x.cloudVersion = p.cloudHas(k.thing, k.name)
	if p.things[k.thing] == shadows.Down {
		x.base = cloud
	}
	p.note(k, "in step: %v", x.base)
}

// settle ends all faults and waits until all is in step, and then that all is
// quiet.
func (p *player) settle() {
	p.Helper()
	p.cloud.Heal()
	p.link.Refresh()
	<-time.After(90 * time.Second) // answers may be late, and after a crowd all are asked for
	p.rec.Refresh()                // what is blocked is tried once more
	p.rests(time.Hour)             // a link whose id was taken over, by what a kill left, waits for half of it
	sent := p.sent.Load()
	p.requests.take()
	<-time.After(5 * time.Minute)
	requests, n := p.requests.String(), p.sent.Load()-sent
	<-time.After(10 * time.Second)                                              // it may have left just now
	if n > 1 || n == 1 && !strings.HasSuffix(requests, "/get") || !p.inStep() { // each is asked for once a day
		p.Fatalf("site %d: %d requests while all was in step: %v; %s", p.number, n, requests, p.report())
	}
}

// again starts the process once more: nothing may come of it.
func (p *player) again() {
	want := p.expect()
	p.noteAll("kill at the end")
	p.kill()
	p.check(want)
}

func byName(a, b key) int { return cmp.Or(cmp.Compare(a.thing, b.thing), cmp.Compare(a.name, b.name)) }

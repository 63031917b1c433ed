package shadows

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// source marks what the reconciler itself changes in the local shadows.
var source = localshadow.Source{Kind: "cloud", Detail: "sync"}

// Reconciler keeps the shadows of both sides equal.
type Reconciler struct {
	o Options
	// prefix begins the clientToken of all our requests.
	prefix string

	turns   chan struct{} // level-triggered: look for turns and deadlines
	sends   chan struct{} // the same for requests
	refresh chan struct{} // the same for Refresh
	listing chan struct{} // the same for names to list

	mu       sync.Mutex
	things   map[string]Direction // replaced, never changed
	online   bool
	running  bool
	turning  int // transactions under way
	requests uint64
	schedule schedule
	mute     time.Time // until then nothing is sent, see suspects.go
	streak   streak
	traffic  traffic
	figures  figures
}

// turnsAtOnce is how many transactions are under way at most. They share the
// commits of the database.
const turnsAtOnce = 64

// New returns a reconciler. It reads nothing and starts nothing.
func New(o Options) (*Reconciler, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	level := func() chan struct{} { return make(chan struct{}, 1) }
	sends := level()
	r := &Reconciler{
		o: o,
		// Another process has others, so that answers to it are not taken for ours.
		prefix: "gg-" + strconv.FormatUint(rand.Uint64(), 36) + "-",
		turns:  level(), sends: sends, refresh: level(), listing: level(),
		schedule: schedule{rate: o.Rate, sends: sends, entries: make(map[key]*entry), paces: make(map[string]*pace)},
		figures:  figures{totals: make(map[string]totals), rejected: make(map[int]uint64), names: make(map[string]string)},
	}
	r.streak.keys = make(map[key]struct{})
	return r, nil
}

// trigger wakes who waits for c.
func trigger(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run reconciles until ctx is cancelled, and then returns nil; the error is that
// of reading the database at the start. The service and the database must run
// longer. It is called once.
func (r *Reconciler) Run(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("begin to sync the shadows: %w", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { r.send(ctx) })
	wg.Go(func() { r.list(ctx) })
	r.pump(ctx)
	r.mu.Lock()
	r.running = false
	r.mu.Unlock()
	wg.Wait()
	return nil
}

// begin finds what is dirty since an earlier run: the documents tell it. Local
// deletions are noted while they still can be seen.
func (r *Reconciler) begin(ctx context.Context) error {
	if err := r.adopt(ctx); err != nil {
		return err
	}
	if err := r.count(ctx); err != nil {
		return err
	}
	things := r.o.Things()
	r.mu.Lock()
	r.things, r.running = things, true
	r.mu.Unlock()
	r.o.Shadows.Watch(r.changed)
	return r.each(ctx, "", func(k key, stored bool) {
		r.mu.Lock()
		defer r.mu.Unlock()
		e := r.schedule.entry(k)
		e.look, e.stored = true, stored
		r.advance(e)
	})
}

// changed is told of every change of a local shadow.
func (r *Reconciler) changed(c localshadow.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Deleted {
		r.room(c.Thing)
	}
	if c.Source == source {
		return
	}
	if _, ok := r.things[c.Thing]; !ok || !r.running {
		return
	}
	e := r.schedule.entry(key{c.Thing, c.Name})
	r.schedule.promote(e)
	e.look = true
	e.pardon()
	r.withdraw(e)
	r.advance(e)
}

// room: a thing has a shadow less, so that the gateway may take one that it refused.
func (r *Reconciler) room(thing string) {
	for _, e := range r.schedule.entries {
		if e.thing == thing && e.barred != "" {
			e.pardon()
			r.advance(e)
		}
	}
}

// withdraw takes a request back that was not sent yet: there is news, and it
// would be refused or out of date.
func (r *Reconciler) withdraw(e *entry) {
	if e.place == queued && e.request.op != opGet && !e.overdue(time.Now()) {
		r.schedule.rest(e)
		e.forgo()
	}
}

// Refresh asks Options.Things again, and tries what is blocked once more.
func (r *Reconciler) Refresh() { trigger(r.refresh) }

// pump starts the transactions, keeps the time and watches the link.
func (r *Reconciler) pump(ctx context.Context) {
	changed := r.o.Link.Changed()
	r.relink(ctx)
	var audit audit
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := r.step()
		if idle := audit.look(ctx, r); wait < 0 || idle < wait {
			wait = idle
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-r.turns:
		case <-timer.C:
		case <-changed:
			changed = r.o.Link.Changed()
			r.relink(ctx)
		case <-r.refresh:
			r.reload(ctx)
		}
	}
}

// step does what is due, and says how long until more is; below 0 for never.
func (r *Reconciler) step() time.Duration {
	for {
		e := r.due()
		if e == nil {
			break
		}
		r.turn(e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.schedule.timers) == 0 {
		return -1
	}
	return max(time.Until(r.schedule.timers[0].deadline), 0)
}

// due fires the deadlines that have passed and takes the next entry for a turn.
func (r *Reconciler) due() *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	for now := time.Now(); len(r.schedule.timers) > 0 && !r.schedule.timers[0].deadline.After(now); {
		e := r.schedule.timers[0]
		r.schedule.at(e, time.Time{})
		if e.place == flying {
			r.unanswered(e)
		}
		r.advance(e)
	}
	front := r.schedule.ready.Front()
	if front == nil || r.turning >= turnsAtOnce {
		return nil
	}
	e := front.Value.(*entry)
	r.schedule.rest(e)
	e.place = turning
	r.turning++
	return e
}

// advance finds out where an entry belongs. It is called whenever something about
// an idle one has changed, with mu held; for others it waits until they are.
func (r *Reconciler) advance(e *entry) {
	if e.place != idle || !r.running {
		return
	}
	s := &r.schedule
	s.at(e, time.Time{})
	now := time.Now()
	if !e.until.IsZero() {
		e.pardon()
	}
	banned := e.banned(now)
	asks := e.ask && e.barred == ""
	if e.request != nil && (!r.online || banned || asks && e.request.op != opGet) {
		// The answer to come may make it another one. If its state counts as on its
		// way, a turn has to take that back.
		look := e.look || e.request.plan.marked
		e.forgo()
		e.look, e.ask, asks = look, true, e.barred == ""
	}
	if !e.gapUntil.IsZero() && !now.Before(e.gapUntil) {
		e.gapUntil = time.Time{}
		if e.reply == nil { // else the turn goes without those that did not come
			e.ask, asks = true, e.barred == ""
		}
	}
	look, news, wait := e.look && !e.lookAt.After(now), e.news && !e.newsAt.After(now), e.gapUntil
	switch held := e.heldUntil(now); {
	case e.notBefore.After(now) && (e.reply == nil || e.reply.kind == erased):
		s.release(e)
		s.at(e, e.notBefore)
	case e.reply != nil && (e.reply.kind != erased || wait.IsZero() || e.told()):
		s.put(e, ready, &s.ready)
		trigger(r.turns)
	case e.reply == nil && (news || look && !(asks && r.online)) && !e.overdue(now):
		s.put(e, ready, &s.ready)
		trigger(r.turns)
	case e.reply == nil && r.online && (e.request != nil || asks):
		if e.request == nil {
			e.request = &request{op: opGet}
		}
		s.queue(e)
		trigger(r.sends)
	case !wait.IsZero():
		s.at(e, wait)
		trigger(r.turns)
	case e.ask || e.reply != nil:
		s.release(e)
		switch {
		case banned:
			s.at(e, e.until)
		case !held.IsZero():
			s.at(e, held)
		}
	case !held.IsZero():
		s.release(e)
		s.at(e, held)
	case e.blocked: // what was said of it is remembered
		s.release(e)
	default:
		s.drop(e)
	}
	if e.index >= 0 {
		trigger(r.turns) // the pump may sleep longer than that
	}
}

// told tells whether the notifications have all that the cloud deleted unseen.
func (e *entry) told() bool {
	have := e.reply.plan.version
	for _, n := range e.notes {
		if !n.deleted && n.version == have+1 {
			have = n.version
		}
	}
	return have >= e.reply.version
}

// fail has an entry wait before it does anything more.
func (r *Reconciler) fail(e *entry, why string) {
	e.why = why
	e.notBefore = time.Now().Add(r.o.Timing.backoff(e.attempts))
	e.attempts++
	r.figures.retries++
}

// count reads the totals.
func (r *Reconciler) count(ctx context.Context) error {
	all := map[string]totals{}
	err := r.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(sqlTotals)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var thing string
			var t totals
			if err := rows.Scan(&thing, &t.rows, &t.blocked, &t.conflicted); err != nil {
				return err
			}
			all[thing] = t
		}
		return rows.Err()
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.figures.totals = all
	return err
}

package shadows

import (
	"context"
	"errors"
	"maps"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// listPage is how many rows are read at a time: a long read keeps the WAL.
const listPage = 256

const (
	sqlKeys    = `SELECT thing, name FROM sync WHERE (thing, name) > (?, ?) ORDER BY thing, name LIMIT ?`
	sqlOfThing = `SELECT thing, name FROM sync WHERE thing = ?`
	sqlBlocked = `SELECT thing, name FROM sync WHERE blocked <> ''`
)

// each yields the shadows of synced things that either side is known to have, or
// those of one thing. A stored one has a row; one with a row and a document comes
// twice.
func (r *Reconciler) each(ctx context.Context, thing string, yield func(k key, stored bool)) error {
	r.mu.Lock()
	things := r.things
	r.mu.Unlock()
	give := func(k key, stored bool) {
		if _, ok := things[k.thing]; ok {
			yield(k, stored)
		}
	}
	if thing != "" {
		stored, err := r.rows(ctx, sqlOfThing, thing)
		if err != nil {
			return err
		}
		for _, k := range stored {
			give(k, true)
		}
		return r.o.Shadows.List(ctx, thing, func(i localshadow.Info) bool {
			give(key{i.Thing, i.Name}, false)
			return true
		})
	}
	err := pages(func(after key) ([]key, error) {
		return r.rows(ctx, sqlKeys, after.thing, after.name, listPage)
	}, func(k key) { give(k, true) })
	if err != nil {
		return err
	}
	return pages(func(after key) (page []key, err error) {
		err = r.o.DB.View(ctx, func(tx *sqlite.Tx) error {
			keys, err := localshadow.Keys(tx, localshadow.Key{Thing: after.thing, Name: after.name}, listPage)
			for _, k := range keys {
				page = append(page, key{k.Thing, k.Name})
			}
			return err
		})
		return page, err
	}, func(k key) { give(k, false) })
}

// pages reads keys in pages of listPage, each behind the last of the one before.
func pages(read func(after key) ([]key, error), yield func(key)) error {
	for last := (key{}); ; {
		page, err := read(last)
		if err != nil {
			return err
		}
		for _, k := range page {
			yield(k)
		}
		if len(page) < listPage {
			return nil
		}
		last = page[len(page)-1]
	}
}

// rows returns the keys that a query finds.
func (r *Reconciler) rows(ctx context.Context, query string, args ...any) (page []key, err error) {
	err = r.o.DB.View(ctx, func(tx *sqlite.Tx) error {
		rows, err := tx.Query(query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k key
			if err := rows.Scan(&k.thing, &k.name); err != nil {
				return err
			}
			page = append(page, k)
		}
		return rows.Err()
	})
	return page, err
}

// relink takes account of a link that went up or down, or both.
func (r *Reconciler) relink(ctx context.Context) {
	r.offline()
	if !r.o.Link.Connected() {
		return
	}
	r.mu.Lock()
	r.online, r.figures.disk = true, ""
	// What waits has waited longest, but nobody waits for it any more.
	for _, e := range r.schedule.entries {
		r.schedule.release(e)
		e.live = false
		e.ask, e.notBefore, e.attempts = true, time.Time{}, 0
		e.unhold()
		e.pardon()
		if e.place == ready && e.reply == nil {
			r.schedule.rest(e) // the answer will say all that a look could
		}
		r.advance(e)
	}
	r.mu.Unlock()
	r.askAll(ctx)
}

// askAll has the cloud asked about every shadow.
func (r *Reconciler) askAll(ctx context.Context) {
	r.mu.Lock()
	things := r.things
	r.traffic.crowded = time.Time{}
	r.mu.Unlock()
	r.failed(ctx, r.each(ctx, "", r.question))
	for thing := range things {
		r.question(key{thing: thing}, false)
	}
	r.relist()
}

// question has the cloud asked about a shadow.
func (r *Reconciler) question(k key, stored bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.schedule.entry(k)
	e.stored = e.stored || stored
	if !e.ask {
		e.ask = true
		e.pardon()
		r.advance(e)
	}
}

// offline ends every exchange: what was sent may have arrived or not.
func (r *Reconciler) offline() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.online = false
	for _, e := range r.schedule.entries {
		if e.place != flying && e.place != queued {
			continue
		}
		if e.place == flying {
			r.figures.unknown++
		} else {
			e.forgo()
		}
		r.schedule.land(e)
		r.schedule.release(e)
		e.ask, e.live = true, false
		r.advance(e)
	}
}

// reload takes up the things as they are now.
func (r *Reconciler) reload(ctx context.Context) {
	things := r.o.Things()
	r.mu.Lock()
	old := r.things
	r.things, r.figures.disk = maps.Clone(things), ""
	r.absolve()
	maps.DeleteFunc(r.figures.names, func(thing, _ string) bool { _, ok := things[thing]; return !ok })
	for _, e := range r.schedule.entries {
		if _, ok := things[e.thing]; !ok && e.place != turning && e.place != flying {
			r.schedule.drop(e)
			continue
		}
		e.notBefore = time.Time{}
		r.advance(e)
	}
	online := r.online
	r.mu.Unlock()
	news := func(thing string) bool {
		d, was := old[thing]
		return !was || d != things[thing]
	}
	r.failed(ctx, r.each(ctx, "", func(k key, stored bool) {
		if online && news(k.thing) {
			r.question(k, stored)
		}
	}))
	for thing := range things {
		if online && news(thing) {
			r.question(key{thing: thing}, false)
		}
	}
	r.failed(ctx, r.unblock(ctx))
	r.relist()
}

// unblock tries what the cloud has refused once more.
func (r *Reconciler) unblock(ctx context.Context) error {
	blocked, err := r.rows(ctx, sqlBlocked)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range blocked {
		if _, ok := r.things[k.thing]; ok {
			e := r.schedule.entry(k)
			e.look, e.force = true, true
			r.advance(e)
		}
	}
	return err
}

// failed notes that the database could not be read.
func (r *Reconciler) failed(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, sqlite.ErrClosed) {
		return
	}
	r.mu.Lock()
	r.figures.disk = err.Error()
	r.mu.Unlock()
	r.o.Log.Error("Could not look for shadows to sync", "err", err)
}

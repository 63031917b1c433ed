package shadows

import (
	"context"
	"errors"
	"time"

	"greengate/core/sqlite"
)

const (
	sqlCloud     = `SELECT name FROM cloud`
	sqlMeet      = `INSERT OR REPLACE INTO cloud (id, name) VALUES (1, ?)`
	sqlForgetAll = `DELETE FROM sync`
)

// adopt sees to it that the bases are those of the cloud that the link leads to. What one
// cloud had says nothing of another: there each shadow would look deleted. So the bases
// are forgotten, and each shadow meets that of the other cloud for the first time. As long
// as the disk does not take that nothing is synced.
func (r *Reconciler) adopt(ctx context.Context) error {
	if r.o.Cloud == "" {
		return nil
	}
	for attempts := 0; ; attempts++ {
		last, err := r.lastCloud(ctx)
		if err != nil || last == r.o.Cloud {
			return err
		}
		if last != "" {
			// A cloud that nobody has reached yet may be a slip in the group file.
			if err := r.connected(ctx); err != nil {
				return err
			}
		}
		if err = r.meet(ctx, last); err == nil || ctx.Err() != nil {
			return err
		}
		r.failed(ctx, err)
		select {
		case <-time.After(r.o.Timing.backoff(attempts)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lastCloud is the cloud that the bases are about; "" when nobody has noted it.
func (r *Reconciler) lastCloud(ctx context.Context) (name string, err error) {
	err = r.o.DB.View(ctx, func(tx *sqlite.Tx) error { return tx.QueryRow(sqlCloud).Scan(&name) })
	if errors.Is(err, sqlite.ErrNoRows) {
		return "", nil
	}
	return name, err
}

// meet notes the cloud, and forgets the bases if they are about another. Those of a program
// that did not note it are about the one that it was connected to: most likely this one.
func (r *Reconciler) meet(ctx context.Context, last string) error {
	var forgotten int64
	err := r.o.DB.Update(ctx, func(tx *sqlite.Tx) (err error) {
		forgotten = 0
		if last != "" {
			if err = tx.Exec(sqlForgetAll); err == nil {
				forgotten, err = tx.Changes()
			}
		}
		if err != nil {
			return err
		}
		return tx.Exec(sqlMeet, r.o.Cloud)
	})
	if err == nil && forgotten > 0 {
		r.o.Log.Info("The shadows meet those of another cloud for the first time",
			"cloud", r.o.Cloud, "before", last, "shadows", forgotten)
	}
	return err
}

// connected waits until the link is up.
func (r *Reconciler) connected(ctx context.Context) error {
	for {
		changed := r.o.Link.Changed()
		if r.o.Link.Connected() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

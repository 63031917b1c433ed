package broker

import (
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"greengate/core/sqlite"
)

// The end of a message with an expiry is written as a time of the wall clock, since it has
// to mean something to the next process, and that clock may be set: a Raspberry Pi begins
// at 1970 or at its last shutdown, and is put right later. So the database says by which
// clock its times are, and when that was set they are moved with it: of a message's life
// never more is taken than has passed for certain.

// reckoning is by which clock the times in the database are.
type reckoning struct {
	boot     string // of the machine
	base     int64  // what the clock said at that boot, Unix milliseconds
	at       int64  // what it said when this was written
	believed bool   // it could be right
}

// tolerance is how far clock and uptime may drift apart before that is somebody who set
// the clock, in milliseconds: NTP slews by 0.5 ms a second.
const tolerance = 500

// reckon looks at the clock. A machine without a boot id is another one each time.
func (b *Broker) reckon() reckoning {
	r := reckoning{believed: b.believed == nil || b.believed()}
	if id, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		r.boot = strings.TrimSpace(string(id))
	}
	r.look()
	return r
}

// look takes up what the clock says now, and returns by how much it was set since.
func (r *reckoning) look() (moved int64) {
	var up unix.Timespec
	r.at = time.Now().UnixMilli()
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return 0 // every kernel has it
	}
	before := r.base
	r.base = r.at - up.Nano()/int64(time.Millisecond)
	if moved = r.base - before; moved <= tolerance && moved >= -tolerance {
		r.base = before // small steps add up
		return 0
	}
	return moved
}

// since is by how much times of before are to be moved to be of this clock, in
// milliseconds. In the same boot of the machine that is known. After another one the
// times stay, if both clocks could be right; or else they are moved as if nothing had
// passed in between, which is all that is certain.
func (r *reckoning) since(before reckoning) int64 {
	switch {
	case before == (reckoning{}):
		return 0
	case r.boot != "" && r.boot == before.boot:
		return r.base - before.base
	case r.believed && before.believed:
		return 0
	}
	return r.at - before.at
}

// loadClock finds out by which clock the times of the database are.
func (b *Broker) loadClock(tx *sqlite.Tx) error {
	rows, err := tx.Query("SELECT boot, base, at, believed FROM clock")
	if err != nil {
		return err
	}
	defer rows.Close()
	var before reckoning
	for rows.Next() {
		var believed int64
		if err := rows.Scan(&before.boot, &before.base, &before.at, &believed); err != nil {
			return err
		}
		before.believed = believed != 0
	}
	b.store.clock = b.reckon()
	b.store.ahead = b.store.clock.since(before)
	return rows.Err()
}

// align brings the times of the database to the clock of this process, before it writes
// any of its own. The caller is run.
func (st *store) align() {
	st.do(op{run: st.clock.move(st.ahead)})
}

// realign does so when the clock was set. The caller is run.
func (st *store) realign(believed func() bool) {
	if moved := st.clock.look(); moved != 0 {
		st.clock.believed = believed == nil || believed()
		st.log.Info("the clock was set; the times of what waits are moved with it", "by", time.Duration(moved)*time.Millisecond)
		st.mu.Lock()
		// Before what has gathered, which is by the new clock already.
		st.now = slices.Insert(st.now, 0, op{run: st.clock.move(moved)})
		st.mu.Unlock()
	}
}

// move moves the times of the database, which are then by this clock.
func (r reckoning) move(by int64) func(*sqlite.Tx) error {
	return func(tx *sqlite.Tx) error {
		for _, table := range []string{"queue", "retained"} {
			if by == 0 {
				break
			}
			if err := tx.Exec("UPDATE "+table+" SET expires = max(1, expires + ?) WHERE expires > 0", by); err != nil {
				return err
			}
		}
		return tx.Exec("INSERT INTO clock (id, boot, base, at, believed) VALUES (1, ?, ?, ?, ?)"+
			" ON CONFLICT (id) DO UPDATE SET boot = excluded.boot, base = excluded.base, at = excluded.at, believed = excluded.believed",
			r.boot, r.base, r.at, number(r.believed))
	}
}

// expiryOf is when t will be, by the clock as it goes now, in Unix milliseconds; 0: never.
func expiryOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	now := time.Now()
	return now.Add(t.Sub(now)).UnixMilli()
}

// timeOf is the time of expires, which is by a clock that the present one is ahead of, in
// Unix milliseconds both.
func timeOf(expires, ahead int64) time.Time {
	if expires == 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Until(time.UnixMilli(expires + ahead)))
}

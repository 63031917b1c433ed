package telemetry

import (
	"fmt"
	"math"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"greengate/core/sqlite"
)

// Clock tells what the clock of the machine says, and how long ago it booted.
type Clock func() (wall time.Time, sinceBoot time.Duration)

// Stamp is when a message was accepted.
type Stamp struct {
	Time  time.Time
	Clock string // "synced", "corrected" or "unsynced"
	Boot  string
	Mono  time.Duration // since that boot
	Seq   int64
}

const clockUnsynced = "unsynced"

// step is how far wall clock and monotonic clock may drift apart between two looks;
// more is somebody who set the clock. NTP slews by 0.5 ms a second.
const step = 500 * time.Millisecond

// boot is the time from one start of the gateway to the next.
type boot struct {
	first int64 // seq of its first message
	id    string
	base  int64  // wall clock, in ns, at the boot of the machine; 0: not known
	key   string // the id of the key under which its messages are written; "": in clear
}

// clock gives messages their stamps. A stamp is not written anew when the right time
// comes: it is computed from the monotonic time and the base of its boot.
type clock struct {
	now    Clock
	synced func() bool
	id     string

	mu    sync.Mutex
	boots []boot // by first; the last is the present. guarded by mu
	right bool   // guarded by mu
	base  int64  // wall - mono when last looked; guarded by mu
}

func newClock(o Options) (*clock, error) {
	c := &clock{now: o.Clock, synced: o.Synced, id: o.BootID}
	if c.now == nil {
		now, err := machineClock()
		if err != nil {
			return nil, err
		}
		c.now = now
	}
	if c.synced == nil {
		c.synced = func() bool { return false }
	}
	if c.id == "" {
		id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			return nil, fmt.Errorf("read the boot id: %w", err)
		}
		c.id = strings.TrimSpace(string(id))
	}
	return c, nil
}

// machineClock reads the uptime once and counts on with the monotonic clock.
func machineClock() (Clock, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return nil, fmt.Errorf("read the time since boot: %w", err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	up, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil, fmt.Errorf("read the time since boot: %w", err)
	}
	start := time.Now().Add(-time.Duration(up * float64(time.Second)))
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now, now.Sub(start)
	}, nil
}

// load reads the boots. Messages from first on are of this one.
func (c *clock) load(tx *sqlite.Tx, first int64) error {
	rows, err := tx.Query("SELECT first, boot, coalesce(base, 0), coalesce(key, '') FROM boots ORDER BY first")
	if err != nil {
		return err
	}
	present := boot{first: first, id: c.id}
	for rows.Next() {
		var b boot
		if err := rows.Scan(&b.first, &b.id, &b.base, &b.key); err != nil {
			return err
		}
		if b.id == c.id {
			present.base = b.base // the same boot, the gateway alone was started again
		}
		if b.first < first {
			c.boots = append(c.boots, b)
		}
	}
	c.boots = append(c.boots, present)
	wall, mono := c.now()
	c.base = wall.UnixNano() - int64(mono)
	c.right = c.synced() || present.base != 0 && abs(present.base-c.base) < int64(step)
	return rows.Err()
}

// begin writes this boot, whose messages are written under the key with that id, and
// forgets those of which no message is left.
func (c *clock) begin(tx *sqlite.Tx, key string) error {
	oldest := c.boots[len(c.boots)-1].first
	for lane := range lanes {
		var seq int64
		if err := tx.QueryRow(lane.sql().first).Scan(&seq); err != nil {
			return err
		}
		if seq > 0 {
			oldest = min(oldest, seq)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := tx.Exec("DELETE FROM boots WHERE first < (SELECT max(first) FROM boots WHERE first <= ?)", oldest); err != nil {
		return err
	}
	b := &c.boots[len(c.boots)-1]
	if c.right {
		b.base = c.base
	}
	b.key = key
	return tx.Exec("INSERT OR REPLACE INTO boots (first, boot, base, key) VALUES (?, ?, ?, nullif(?, ''))", b.first, b.id, b.base, key)
}

// written notes under which key the messages of this boot are written, before the first
// of them.
func (c *clock) written(tx *sqlite.Tx, key string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := &c.boots[len(c.boots)-1]
	b.key = key
	return tx.Exec("UPDATE boots SET key = ? WHERE first = ?", key, b.first)
}

// part are the messages from first to last, written under one key.
type part struct {
	first, last int64
	key         string
}

// parts returns the boots as parts.
func (c *clock) parts() []part {
	c.mu.Lock()
	defer c.mu.Unlock()
	parts := make([]part, len(c.boots))
	for i, b := range c.boots {
		parts[i] = part{b.first, math.MaxInt64, b.key}
		if i > 0 {
			parts[i-1].last = b.first - 1
		}
	}
	return parts
}

// key returns the id of the key under which a message is written, "" for none.
func (c *clock) key(seq int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of(seq).key
}

// stamp is what is written with a message of this moment.
func (c *clock) stamp() (mono, wall int64, synced bool) {
	now, up := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(up), now.UnixNano(), c.right
}

// look compares the clocks. It returns true when the right time has come: because
// somebody says so, or because the clock was set, which nobody does to make it wrong.
// The base of the boot is to be written then.
func (c *clock) look() (corrected bool) {
	wall, mono := c.now()
	says := c.synced()
	c.mu.Lock()
	defer c.mu.Unlock()
	base := wall.UnixNano() - int64(mono)
	stepped := abs(base-c.base) > int64(step)
	c.base = base
	if !stepped && (c.right || !says) {
		return false
	}
	c.right = true
	for i := range c.boots {
		if c.boots[i].id == c.id {
			c.boots[i].base = base
		}
	}
	return true
}

// save writes the base of the boot.
func (c *clock) save(tx *sqlite.Tx) error {
	c.mu.Lock()
	base := c.boots[len(c.boots)-1].base
	c.mu.Unlock()
	return tx.Exec("UPDATE boots SET base = ? WHERE boot = ?", base, c.id)
}

// when returns the stamp of a row.
func (c *clock) when(seq, mono, wall int64, flags int) Stamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.of(seq)
	s := Stamp{Time: time.Unix(0, wall).UTC(), Clock: clockUnsynced, Boot: b.id, Mono: time.Duration(mono), Seq: seq}
	switch {
	case flags&flagSynced != 0:
		s.Clock = "synced"
	case b.base != 0:
		s.Time, s.Clock = time.Unix(0, b.base+mono).UTC(), "corrected"
	}
	return s
}

// of returns the boot of a message. The caller holds c.mu.
func (c *clock) of(seq int64) boot {
	i := sort.Search(len(c.boots), func(i int) bool { return c.boots[i].first > seq })
	if i == 0 {
		return boot{} // of a start that is forgotten: only rows in quarantine are
	}
	return c.boots[i-1]
}

// age returns how long ago a row was accepted: never more than is certain. Of a row of
// an earlier boot that is the time since this one, unless both clocks were right.
func (c *clock) age(seq, mono, wall int64, flags int) time.Duration {
	now, up := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.of(seq)
	if b.id == c.id {
		return max(0, up-time.Duration(mono))
	}
	if c.right {
		switch {
		case flags&flagSynced != 0:
			return max(up, now.Sub(time.Unix(0, wall)))
		case b.base != 0:
			return max(up, now.Sub(time.Unix(0, b.base+mono)))
		}
	}
	return up
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

package pki

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Clock is where this room takes the time from. The zero value is the clock of
// the machine.
//
// A Raspberry Pi has no clock that runs without power: until a time server
// answers it may believe that it is 1970, the time of its last shutdown, or,
// once somebody typed it wrong, 2094. A gateway that must start without a
// network therefore may not let the clock decide who gets in:
//
//   - What the group CA signs is valid from 1970-01-01; the CA itself and the
//     device certificates until 9999-12-31 23:59:59, which is how a certificate
//     says "no well-defined expiration" (RFC 5280, 4.1.2.5). They end by being
//     taken off the record, never by time.
//   - The server certificate ends 10 years after the later of clock and floor
//     and is made again after two thirds, so no clock, ours or a device's,
//     makes it invalid.
//   - A foreign certificate, admitted by its fingerprint, has an end that
//     somebody else chose. It is judged only while the clock is plausible: not
//     before the floor and at most 5 years after it. The floor is the later of
//     the build time and of a mark, kept in the file `clock`, that follows the
//     plausible clock and never goes back. While the clock is not plausible the
//     fingerprint alone decides; that is logged once and is a fault in the
//     status.
type Clock struct {
	Now func() time.Time
}

func (c Clock) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// built is the time before which this program cannot run, RFC 3339: the month
// of the oldest compiler that go.mod admits, or, in a release, the time of the
// build (-ldflags "-X greengate/core/pki.built=...").
var built = "2026-02-01T00:00:00Z"

const (
	// believable is how far after the floor a clock is still plausible: the
	// time for which a gateway may lie in a drawer.
	believable = 5 * 365 * 24 * time.Hour
	// markEvery is how often the mark is written: 24 small writes a day are
	// nothing to an SD card.
	markEvery = time.Hour
)

var (
	// since is the notBefore of all that the CA signs.
	since = time.Unix(0, 0).UTC()
	// forever is "no well-defined expiration" (RFC 5280, 4.1.2.5).
	forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// timekeeper judges a clock against the floor and keeps the mark.
type timekeeper struct {
	clock Clock
	path  string // of the mark

	mark  atomic.Int64 // the latest time believed, Unix seconds; 0 when there is none
	built time.Time
	keep  sync.Mutex // one writer of the mark at a time
}

// newTimekeeper reads the mark. A missing or unreadable mark leaves the build
// time as the floor: it only makes more clocks plausible and must stop nobody.
func newTimekeeper(path string, clock Clock) (*timekeeper, error) {
	start, err := time.Parse(time.RFC3339, built)
	if err != nil {
		return nil, fmt.Errorf("read the build time of this program: %w", err)
	}
	k := &timekeeper{clock: clock, path: path, built: start}
	if text, err := os.ReadFile(path); err == nil {
		if mark, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text))); err == nil {
			k.mark.Store(mark.Unix())
		}
	}
	return k, nil
}

// floor is the time before which it cannot be now.
func (k *timekeeper) floor() time.Time {
	if mark := time.Unix(k.mark.Load(), 0).UTC(); mark.After(k.built) {
		return mark
	}
	return k.built
}

// judge returns the time and, when it cannot be believed, a text that says why.
func (k *timekeeper) judge() (now time.Time, fault string) {
	now = k.clock.now()
	floor := k.floor()
	says, known := now.UTC().Format(time.RFC3339), floor.Format(time.RFC3339)
	switch {
	case now.Before(k.built):
		return now, fmt.Sprintf("the clock says %s, which is before this program was made", says)
	case now.Before(floor):
		return now, fmt.Sprintf("the clock says %s, but it was %s already (if the clock is right now, remove %s)", says, known, k.path)
	case now.After(floor.Add(believable)):
		return now, fmt.Sprintf("the clock says %s, more than 5 years after %s, the last time known to be true", says, known)
	}
	return now, ""
}

// latest returns the later of clock and floor, the best lower bound of the time
// that a device with a right clock may have.
func (k *timekeeper) latest() time.Time {
	now, floor := k.clock.now(), k.floor()
	if now.Before(floor) {
		return floor
	}
	return now
}

// keepMark moves the mark forward to the clock, at most once in markEvery and
// only while the clock is plausible: a wrong clock must not become the floor.
func (k *timekeeper) keepMark() error {
	k.keep.Lock()
	defer k.keep.Unlock()
	now, fault := k.judge()
	if fault != "" || now.Before(time.Unix(k.mark.Load(), 0).Add(markEvery)) {
		return nil
	}
	now = now.UTC().Truncate(time.Second)
	if err := writeFile(k.path, []byte(now.Format(time.RFC3339)+"\n"), 0o644); err != nil {
		return fmt.Errorf("keep the clock mark: %w", err)
	}
	k.mark.Store(now.Unix())
	return nil
}

package broker

import "testing"

// TestReckoning: of the life of a message nothing is taken that has not passed for
// certain, whatever happened to the clock in between.
func TestReckoning(t *testing.T) {
	const (
		minute = 60_000
		hour   = 60 * minute
		year   = 365 * 24 * hour
		now    = 56 * year
	)
	before := reckoning{boot: "a", base: now - hour, at: now, believed: true}
	for name, c := range map[string]struct {
		before, after reckoning
		want          int64
	}{
		"a new database":                          {reckoning{}, before, 0},
		"started again":                           {before, reckoning{"a", now - hour, now + minute, true}, 0},
		"started again, 20 years set ahead":       {before, reckoning{"a", now - hour + 20*year, now + 20*year, false}, 20 * year},
		"started again, put right from 1970":      {reckoning{"a", 0, hour, false}, reckoning{"a", now - hour, now, true}, now - hour},
		"booted again, with a clock that ran":     {before, reckoning{"b", now + hour, now + 2*hour, true}, 0},
		"booted again, without a clock: 1970":     {before, reckoning{"b", 0, minute, false}, minute - now},
		"booted again, the clock was at 1970":     {reckoning{"a", 0, hour, false}, reckoning{"b", now, now + minute, true}, now + minute - hour},
		"booted again, a machine without boot id": {reckoning{"", now - hour, now, true}, reckoning{"", now, now + minute, true}, 0},
	} {
		if got := c.after.since(c.before); got != c.want {
			t.Errorf("%s: moved by %d ms, want %d", name, got, c.want)
		}
	}
}

// TestLookFindsASetClock: small steps, by which NTP brings a clock in line, are none;
// together they are.
func TestLookFindsASetClock(t *testing.T) {
	var r reckoning
	r.look()
	base := r.base
	if moved := r.look(); moved != 0 {
		t.Errorf("a clock that nobody has set was moved by %d ms", moved)
	}
	r.base = base - tolerance/2
	if moved := r.look(); moved != 0 || r.base != base-tolerance/2 {
		t.Errorf("a small step moves by %d ms", moved)
	}
	r.base = base - 10*tolerance
	if moved := r.look(); moved < 9*tolerance || moved > 11*tolerance {
		t.Errorf("a clock that was set by 5 s was moved by %d ms", moved)
	}
}

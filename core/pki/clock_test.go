package pki

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWrongClockStopsNobody: with every clock a device of ours gets in, and one
// with a foreign certificate unless a believable clock says that it ended.
func TestWrongClockStopsNobody(t *testing.T) {
	a := newAuthority(t, at(today))
	ours := parse(t, issue(t, a, "GG_Switch").CertPEM)
	pinned := foreign(t, "x", today.AddDate(0, -1, 0), today.AddDate(0, 1, 0)).Leaf
	devices := []Device{{Thing: "GG_Switch"}, {Thing: "GG_Pinned", Fingerprint: Fingerprint(pinned)}}
	for _, tc := range []struct {
		name   string
		now    time.Time
		reason string // of the foreign one; "" is in
		fault  string
	}{
		{"Right", today, "", ""},
		{"1970", time.Unix(12, 0), "", "before this program was made"},
		{"JustBeforeTheProgram", time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC), "", "before this program was made"},
		{"NotYetValid", time.Date(2026, 2, 1, 0, 0, 1, 0, time.UTC), NotYetValid, ""},
		{"Expired", today.AddDate(0, 2, 0), Expired, ""},
		{"ExpiredStillBelievable", today.AddDate(4, 0, 0), Expired, ""},
		{"In20Years", today.AddDate(20, 0, 0), "", "more than 5 years"},
		{"AtTheEndOfDays", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), "", "more than 5 years"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log := &journal{}
			a := reopen(t, a, at(tc.now))
			i := identities(t, a, log.logger(), devices...)
			wantThing(t, i, ours, "GG_Switch")
			for range 3 {
				if tc.reason == "" {
					wantThing(t, i, pinned, "GG_Pinned")
				} else {
					wantRefusal(t, i, pinned, tc.reason)
				}
			}
			told := strings.Join(i.Faults(), "; ")
			if (tc.fault == "") != (told == "") || !strings.Contains(told, tc.fault) {
				t.Errorf("Faults = %q; want %q", told, tc.fault)
			}
			want := 0
			if tc.fault != "" {
				want = 1
			}
			if got := log.count("level=WARN"); got != want {
				t.Errorf("%d warnings; want %d:\n%s", got, want, log.text.String())
			}
			// What depends on no clock is no fault.
			if f := identities(t, a, nil, devices[0]).Faults(); len(f) != 0 {
				t.Errorf("Faults without a foreign certificate = %q", f)
			}
		})
	}
}

// TestMark: the mark follows a believable clock, holds over a restart and never
// goes back.
func TestMark(t *testing.T) {
	h := &hands{now: today}
	a := newAuthority(t, h.clock())
	path := filepath.Join(a.dir, "clock")
	read := func() string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	keep := func(now time.Time) {
		t.Helper()
		h.set(now)
		if err := a.time.keepMark(); err != nil {
			t.Fatal(err)
		}
	}
	keep(time.Unix(7, 0))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a clock of 1970 left a mark: %v", err)
	}
	keep(today)
	keep(today.Add(59 * time.Minute))
	if got := read(); got != "2026-11-25T12:00:00Z" {
		t.Errorf("mark %s: written more than once an hour", got)
	}
	keep(today.Add(61 * time.Minute))
	keep(today.Add(-24 * time.Hour))
	keep(today.AddDate(20, 0, 0))
	if got := read(); got != "2026-11-25T13:01:00Z" {
		t.Errorf("mark %s; want that of 13:01", got)
	}

	a = reopen(t, a, h.clock())
	h.set(today) // an hour back: not believed any more, and the fault says what to do
	if _, fault := a.time.judge(); !strings.Contains(fault, "remove "+path) {
		t.Errorf("fault %q", fault)
	}
	h.set(today.AddDate(5, 6, 0)) // near the end of what the mark, but not the program, makes believable
	if _, fault := a.time.judge(); fault == "" {
		t.Error("more than 5 years after the mark are believed")
	}
	h.set(today.AddDate(4, 11, 0))
	if _, fault := a.time.judge(); fault != "" {
		t.Error(fault)
	}
	for _, text := range []string{"", "yesterday", "\x00\x00"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		h.set(today)
		if _, fault := reopen(t, a, h.clock()).time.judge(); fault != "" {
			t.Errorf("with a mark of %q: %s", text, fault)
		}
	}
}

func TestZeroClockIsTheMachines(t *testing.T) {
	if d := time.Since(Clock{}.now()); d < 0 || d > time.Minute {
		t.Errorf("the zero clock is off by %s", d)
	}
}

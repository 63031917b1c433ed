package functions

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/functions/endpoint"
)

// ticks is a program that notes the events of a schedule; slow makes a call last.
func ticks(slow time.Duration) (p program, got func() []string) {
	var mu sync.Mutex
	var events []string
	return serve(func(_ *fakeProcess, v *endpoint.Invocation) ([]byte, error) {
			mu.Lock()
			events = append(events, v.Subject+" "+string(v.Payload))
			mu.Unlock()
			time.Sleep(slow)
			return []byte("1"), nil
		}), func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(events)
		}
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, got := ticks(0)
		r := newRig(t, t.TempDir(), p, Options{}, config("f", func(c *Config) { c.Every = 10 * time.Second; c.ReplyTo = "out" })).start()
		synctest.Wait()
		time.Sleep(31 * time.Second)
		want := []string{
			`$schedule {"time":"2000-01-01T00:00:10Z","schedule":"every 10s"}`,
			`$schedule {"time":"2000-01-01T00:00:20Z","schedule":"every 10s"}`,
			`$schedule {"time":"2000-01-01T00:00:30Z","schedule":"every 10s"}`,
		}
		if events := got(); !slices.Equal(events, want) {
			t.Errorf("events %q, want %q", events, want)
		}
		if n := len(r.answers()); n != 3 || len(r.verdicts()) != 0 {
			t.Errorf("%d answers, settled %v; want 3, and no word to the ledger of what nobody routed", n, r.verdicts())
		}
		if next := r.stats().NextTime.UTC().Format(time.TimeOnly); next != "00:00:40" {
			t.Errorf("next at %s", next)
		}
		r.stop()
	})
}

func TestCron(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, got := ticks(0)
		r := newRig(t, t.TempDir(), p, Options{}, config("f", func(c *Config) { c.Cron = "*/20 3 * * *" })).start()
		time.Sleep(24 * time.Hour)
		if events := got(); len(events) != 3 {
			t.Errorf("events of a day %q, want those at 3:00, 3:20 and 3:40", events)
		}
		r.stop()
	})
}

// A call of the schedule that still waits is not joined by another.
// A job that takes longer than its period runs once at a time.
func TestScheduleSkips(t *testing.T) {
	for name, kind := range map[string]func(*Config){"pinned": pinned, "on demand": func(*Config) {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, got := ticks(35 * time.Second)
				r := newRig(t, t.TempDir(), p, Options{}, config("f", kind, func(c *Config) { c.Every, c.Timeout = 10*time.Second, time.Minute })).start()
				time.Sleep(75 * time.Second) // one runs from 10 to 45, the next from 50
				if n, s := len(got()), r.stats(); n != 2 || s.Skipped != 5 || s.Queued != 0 || s.Running != 1 {
					t.Errorf("%d calls, %+v", n, s)
				}
				r.stop()
			})
		})
	}
}

// Weekdays are those of crontab, where Sunday is 0 and 7.
func TestWeekdays(t *testing.T) {
	from := time.Date(2000, 1, 3, 0, 0, 0, 0, time.Local) // a Monday
	for days, want := range map[string]string{
		"7": "7", "0": "7", "5-7": "567", "6,7": "67", "1-7/2": "1357", "0-7": "1234567", "7/3": "7", "sun": "7", "1-5": "12345", "*": "1234567",
		"8": "", "1-8": "", "7-1": "", "7/": "", "7-": "", "-7": "",
	} {
		got := ""
		schedule, err := ParseCron("0 12 * * " + days)
		if err == nil {
			for at := schedule.Next(from); at.Before(from.AddDate(0, 0, 7)); at = schedule.Next(at) {
				got += strconv.Itoa((int(at.Weekday())+6)%7 + 1)
			}
		}
		if got != want {
			t.Errorf("%s: on %q, %v; want %q", days, got, err, want)
		}
	}
	for _, never := range []string{"0 0 31 2 *", "0 0 31 4,6 *"} {
		if _, err := ParseCron(never); err == nil || !strings.Contains(err.Error(), "never comes") {
			t.Errorf("%s: %v", never, err)
		}
	}
	for _, wrong := range []string{"", "TZ=UTC", "CRON_TZ=UTC ", "0 0 * *"} {
		if _, err := ParseCron(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	for _, rare := range []string{"0 0 29 2 *", "@daily", "TZ=UTC 0 0 * * 7"} {
		if _, err := ParseCron(rare); err != nil {
			t.Errorf("%s: %v", rare, err)
		}
	}
}

package functions

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// clockLook is how often a cron schedule looks at the wall clock: a computer without a
// clock of its own gets the time late, and in one step.
const clockLook = time.Minute

// scheduleSubject is the topic of the calls that the schedule makes.
const scheduleSubject = "$schedule"

// ParseCron reads the schedule of Config.Cron. As in crontab, 7 is Sunday, too. A time that
// never comes is an error.
func ParseCron(text string) (cron.Schedule, error) {
	fields := strings.Fields(text)
	if len(fields) == 1 && strings.Contains(text, "TZ=") { // which the parser does not outlive
		return nil, errors.New("a time zone alone is no time")
	}
	if n := len(fields); n > 4 {
		fields[n-1] = sundays(fields[n-1])
	}
	schedule, err := cron.ParseStandard(strings.Join(fields, " "))
	if err == nil && schedule.Next(time.Now()).IsZero() {
		err = errors.New("such a time never comes")
	}
	return schedule, err
}

// sundays writes the 7 of a field of weekdays as 0, the only one that the parser knows.
func sundays(field string) string {
	parts := strings.Split(field, ",")
	for i, part := range parts {
		span, step, stepped := strings.Cut(part, "/")
		if !stepped {
			step = "1"
		}
		first, last, ranged := strings.Cut(span, "-")
		if !ranged {
			last = first
		}
		day, dayErr := strconv.Atoi(first)
		by, stepErr := strconv.Atoi(step)
		if last != "7" || errors.Join(dayErr, stepErr) != nil || day < 0 || by < 1 || by > 7 {
			continue // as it is
		}
		var days []string
		for ; day <= 7; day += by {
			days = append(days, strconv.Itoa(day%7))
		}
		parts[i] = strings.Join(days, ",")
	}
	return strings.Join(parts, ",")
}

// ring makes the calls of the schedule that are due, and returns when to look again;
// zero: there is no schedule. The caller holds f.mu.
func (f *function) ring(now time.Time) time.Time {
	switch {
	case f.c.Every > 0:
		return f.ringEvery(now)
	case f.cron != nil:
		return f.ringCron(now)
	}
	return time.Time{}
}

// ringEvery goes by the monotonic clock. Times that were missed are not made up for.
func (f *function) ringEvery(now time.Time) time.Time {
	if f.tick.IsZero() {
		f.tick = now.Add(f.c.Every)
	}
	if !now.Before(f.tick) {
		f.call(now, "every "+f.c.Every.String())
		for !now.Before(f.tick) {
			f.tick = f.tick.Add(f.c.Every * max(1, now.Sub(f.tick)/f.c.Every))
		}
	}
	return f.tick
}

// ringCron goes by the wall clock. A step of it over several times makes one call; after
// a step back the times that come again are called again.
func (f *function) ringCron(now time.Time) time.Time {
	wall := now.Round(0)
	if f.tick.IsZero() || f.tick.Sub(wall) > f.cron.Next(wall).Sub(wall) {
		f.tick = f.cron.Next(wall)
	}
	if f.tick.IsZero() {
		return time.Time{} // no such time ever comes
	}
	if !wall.Before(f.tick) {
		f.call(now, f.c.Cron)
		f.tick = f.cron.Next(wall)
	}
	return now.Add(min(clockLook, max(0, f.tick.Sub(wall))))
}

// call queues a call of the schedule, unless the last one is not done. The caller holds
// f.mu.
func (f *function) call(now time.Time, schedule string) {
	if f.onSchedule() {
		if f.stats.skipped++; f.stats.skipped == 1 {
			f.log.Warn("A time of the schedule is skipped: the last call is not done", "schedule", schedule)
		}
		return
	}
	event, err := json.Marshal(struct {
		Time     string `json:"time"`
		Schedule string `json:"schedule"`
	}{now.UTC().Format(time.RFC3339), schedule})
	if err != nil {
		panic(err) // two strings
	}
	if f.full(len(event)) && f.c.Queue.WhenFull == DropNewest {
		f.stats.skipped++
		return
	}
	f.makeRoom(len(event))
	f.waiting.pushBack(&call{f: f, id: newID(), source: "schedule", subject: scheduleSubject, payload: event, scheduled: true})
}

// onSchedule tells whether a call of the schedule waits, runs or is to be tried again. The
// caller holds f.mu.
func (f *function) onSchedule() bool {
	for _, in := range f.instances {
		if c := in.call; c != nil && c.scheduled && !c.answered {
			return true
		}
	}
	for _, l := range []*list{&f.waiting, &f.later} {
		for c := l.first; c != nil; c = c.next {
			if c.scheduled {
				return true
			}
		}
	}
	return false
}

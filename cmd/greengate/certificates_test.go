package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"greengate/core/admin/client"
)

// An end is a fault from 30 days before it on, and the log tells at 30, 7 and 1 day.
func TestEndOfACertificateIsAlarmed(t *testing.T) {
	end := time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)
	now, believed := end, true
	var log bytes.Buffer
	e := &expiry{
		ends: func() []certificateEnd {
			return []certificateEnd{{what: "the certificate of lamp", end: end, next: "renew it"}, {what: groupCA, end: end.AddDate(100, 0, 0)}}
		},
		now:  func() (time.Time, bool) { return now, believed },
		log:  slog.New(slog.NewTextHandler(&log, nil)),
		told: map[string]int64{},
	}
	for _, c := range []struct {
		hours      int // before the end
		fault, log string
	}{
		{31 * 24, "", ""},
		{30 * 24, "the certificate of lamp ends on 2030-01-31, in 30 days", "in 30 days"},
		{29 * 24, "the certificate of lamp ends on 2030-01-31, in 29 days", ""},
		{7*24 - 1, "the certificate of lamp ends on 2030-01-31, in 6 days", "in 6 days"},
		{6 * 24, "the certificate of lamp ends on 2030-01-31, in 6 days", ""},
		{24, "the certificate of lamp ends on 2030-01-31, in 1 day", "in 1 day"},
		{-1, "the certificate of lamp ended on 2030-01-31", "ended on"},
		{-2, "the certificate of lamp ended on 2030-01-31", ""},
	} {
		now = end.Add(-time.Duration(c.hours) * time.Hour)
		log.Reset()
		e.look()
		var s client.Status
		e.report(&s)
		got := ""
		if len(s.Faults) > 0 {
			got = s.Faults[0].Message
		}
		if got != c.fault || len(s.Faults) > 1 {
			t.Errorf("%d hours before: the faults are %+v, want %s", c.hours, s.Faults, c.fault)
		}
		if (c.log == "") != (log.Len() == 0) || !strings.Contains(log.String(), c.log) {
			t.Errorf("%d hours before: the log has %q, want %q", c.hours, log.String(), c.log)
		}
	}
	believed = false
	var s client.Status
	if e.report(&s); len(s.Faults) > 0 {
		t.Errorf("by a clock that is not believed: %+v", s.Faults)
	}
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/admin/client"
	"greengate/core/audit"
)

// fillable is an audit log on a disk that may be full.
type fillable struct {
	*audit.Log
	full bool
	room int // entries that have room nevertheless
}

func (f *fillable) take() error {
	if f.full && f.room == 0 {
		return syscall.ENOSPC
	}
	f.room = max(0, f.room-1)
	return nil
}

func (f *fillable) Append(e audit.Entry) (audit.Entry, error) {
	if err := f.take(); err != nil {
		return e, err
	}
	return f.Log.Append(e)
}

func (f *fillable) Change(e audit.Entry, rights []string) (audit.Entry, bool, error) {
	if err := f.take(); err != nil {
		return e, false, err
	}
	return f.Log.Change(e, rights)
}

// auditing is an auditor whose rights and disk a test changes.
type auditing struct {
	*auditor
	t    *testing.T
	disk *fillable
	now  []string
}

func newAuditing(t *testing.T, rights ...string) *auditing {
	a := &auditing{t: t, now: rights, disk: &fillable{Log: audit.At(filepath.Join(t.TempDir(), auditFile))}}
	a.auditor = &auditor{
		log: a.disk, rights: func() ([]string, error) { return a.now, nil },
		say: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1),
	}
	return a
}

// set changes something while the auditor does not look.
func (a *auditing) set(change func()) {
	a.writing.Lock()
	defer a.writing.Unlock()
	change()
}

// reload is one that somebody asks for, with what is in force then.
func (a *auditing) reload(by string, rights ...string) {
	a.record("found", "")
	a.set(func() { a.now = rights })
	a.record("reload", by)
}

// written are the entries behind the first n, each as by whom, + what came and - what went.
func (a *auditing) written(n int) (all []string) {
	a.t.Helper()
	for e, err := range a.disk.Read() {
		if err != nil {
			a.t.Error(err)
		}
		text := e.Event + " " + e.By
		for _, r := range e.Added {
			text += " +" + r
		}
		for _, r := range e.Removed {
			text += " -" + r
		}
		all = append(all, text)
	}
	return all[min(n, len(all)):]
}

func (a *auditing) faults() []client.Fault {
	var s client.Status
	a.report(&s)
	return s.Faults
}

// What changes while the disk is full is written when there is room, within seconds: each change
// with its time and with who asked for it, and not with whoever asks next.
func TestRightsThatChangeOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuditing(t, "lamp")
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()

		began := time.Now()
		a.set(func() { a.disk.full = true })
		a.reload("uid 1", "lamp", "thief")
		time.Sleep(time.Minute)
		a.reload("uid 1", "lamp")
		time.Sleep(time.Minute)
		a.set(func() { a.now = nil }) // a certificate counts no more, which nobody asked for
		a.reload("uid 2", "panel")
		a.reload("uid 3", "panel") // it changed nothing
		if f := a.faults(); len(f) != 1 || !strings.Contains(f[0].Message, "and 4 changes of rights wait: no space left") || !f[0].Since.Equal(began) {
			t.Errorf("faults: %+v", f)
		}

		a.set(func() { a.disk.room = 2 })
		time.Sleep(auditRetry)
		synctest.Wait()
		if f := a.faults(); len(f) != 1 || !strings.Contains(f[0].Message, "2 changes") {
			t.Errorf("with room for two: %+v", f)
		}
		a.set(func() { a.disk.full = false })
		time.Sleep(auditRetry)
		synctest.Wait()
		if f := a.faults(); len(f) != 0 {
			t.Errorf("faults with room: %+v", f)
		}
		a.reload("uid 4", "panel")
		if got, want := a.written(1), []string{"reload uid 1 +thief", "reload uid 1 -thief", "found  -lamp", "reload uid 2 +panel"}; !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		times := []time.Duration{0, 0, time.Minute, 2 * time.Minute, 2 * time.Minute}
		for e := range a.disk.Read() {
			if at := e.Time.Sub(began); at != times[e.Seq-1] {
				t.Errorf("entry %d is of %v, want %v", e.Seq, at, times[e.Seq-1])
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What waits is bounded, and what cannot be kept apart is added up, which its entry says.
func TestManyRightsThatChangeOnAFullDisk(t *testing.T) {
	a := newAuditing(t)
	a.record("start", "")
	a.disk.full = true
	for i := range mostWaitingRights {
		a.reload(fmt.Sprint("uid ", i), fmt.Sprint("row ", i))
	}
	a.reload("uid 1000", "row 255", "thief")
	a.reload("uid 1001", "row 1001")
	a.disk.full = false
	a.look()
	got := a.written(0)
	if len(got) != mostWaitingRights || got[254] != "reload uid 254 +row 254 -row 253" || got[255] != "reload several +row 1001 -row 254" {
		t.Errorf("%d entries, at the end %q", len(got), got[max(0, len(got)-2):])
	}
	var last audit.Entry
	for e := range a.disk.Read() {
		last = e
	}
	if !strings.HasPrefix(last.Note, "3 changes until ") {
		t.Errorf("the entry of several changes: %+v", last)
	}

	// So are the bytes.
	a.disk.full = true
	for i := range 4 {
		a.reload("uid 1", strings.Repeat("x", mostWaitingBytes/3), fmt.Sprint(i))
		a.reload("uid 1", fmt.Sprint(i))
	}
	waiting := 0
	for _, e := range a.waiting.entries {
		waiting += textOf(e)
	}
	if waiting > mostWaitingBytes {
		t.Errorf("%d bytes wait", waiting)
	}
	a.disk.full = false
	a.look()
	if known, err := a.disk.Rights(); err != nil || len(known) != 1 || !known["3"] {
		t.Errorf("the entries add up to %d rights, %v", len(known), err)
	}
}

// A reload that is faster than the begin of the log does not get what was changed before the start.
func TestStartComesBeforeTheFirstReload(t *testing.T) {
	a := newAuditing(t, "lamp")
	a.reload("uid 1", "lamp", "panel")
	a.record("found", "")
	if got, want := a.written(0), []string{"start  +lamp", "reload uid 1 +panel"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

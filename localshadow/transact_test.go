package localshadow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

var cloud = localshadow.Source{Kind: "cloud"}

// outcome is what a Transact has told.
type outcome struct {
	localshadow.Change
	changed bool
	err     error
}

// transact waits for what f makes of a shadow.
func (st *station) transact(thing string, f func(tx *sqlite.Tx, d localshadow.Document) (localshadow.Edit, error)) outcome {
	st.Helper()
	told := make(chan outcome, 1)
	st.Transact(thing, "", f, func(c localshadow.Change, changed bool, err error) { told <- outcome{c, changed, err} })
	select {
	case o := <-told:
		return o
	case <-time.After(20 * time.Second):
		st.Fatal("the transaction is not told")
		return outcome{}
	}
}

// edit is transact for an edit that does not depend on anything.
func (st *station) edit(thing string, e localshadow.Edit) outcome {
	st.Helper()
	e.Source = cloud
	return st.transact(thing, func(*sqlite.Tx, localshadow.Document) (localshadow.Edit, error) { return e, nil })
}

// keeping writes into a table of its own, as the reconciler does.
func keeping(note string, e localshadow.Edit, err error) func(*sqlite.Tx, localshadow.Document) (localshadow.Edit, error) {
	return func(tx *sqlite.Tx, _ localshadow.Document) (localshadow.Edit, error) {
		if err := tx.Exec(`CREATE TABLE IF NOT EXISTS notes (note TEXT)`); err != nil {
			return e, err
		}
		if err := tx.Exec(`INSERT INTO notes VALUES (?)`, note); err != nil {
			return e, err
		}
		return e, err
	}
}

// notes are those that were committed.
func (st *station) notes() string {
	var all string
	err := st.DB.View(context.Background(), func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT coalesce(group_concat(note), '') FROM notes`).Scan(&all)
	})
	if err != nil {
		st.Fatal(err)
	}
	return all
}

// published are the ends of the topics of what was sent.
func (st *station) published() string {
	var all []string
	for _, m := range st.take() {
		all = append(all, m.topic[strings.Index(m.topic, "/shadow/")+len("/shadow/"):])
	}
	return strings.Join(all, " ")
}

// What an edit changes is published as any update, and told with its source.
func TestTransact(t *testing.T) {
	st := openStation(t, atNoon)
	var watched []localshadow.Change
	st.Watch(func(c localshadow.Change) { watched = append(watched, c) })
	st.tell(updateTopic("a"), `{"state":{"reported":{"k":1}}}`)
	var saw localshadow.Document
	got := st.transact("a", func(tx *sqlite.Tx, d localshadow.Document) (localshadow.Edit, error) {
		saw = d
		e, err := keeping("first", localshadow.Edit{}, nil)(tx, d)
		e.Patch, e.Source = `{"state":{"desired":{"k":2}}}`, cloud
		return e, err
	})
	want := localshadow.Change{
		Thing: "a", Version: 2, Source: cloud,
		Previous: localshadow.State{Reported: `{"k":1}`},
		Current:  localshadow.State{Desired: `{"k":2}`, Reported: `{"k":1}`},
	}
	if got.err != nil || !got.changed || got.Change != want || !reflect.DeepEqual(watched[1:], []localshadow.Change{want}) {
		t.Errorf("told %+v, watched %+v", got, watched)
	}
	if saw.Version != 1 || saw.Reported != `{"k":1}` || st.notes() != "first" {
		t.Errorf("f saw %+v and kept %q", saw, st.notes())
	}
	if p := st.published(); p != "update/delta update/documents update/accepted" {
		t.Errorf("published %s", p)
	}
	if got := st.edit("a", localshadow.Edit{Delete: true}); got.err != nil || !got.changed || !got.Deleted || got.Version != 2 {
		t.Errorf("deleted: %+v", got)
	}
	if p := st.published(); p != "delete/accepted" {
		t.Errorf("published %s", p)
	}
	if got := st.edit("a", localshadow.Edit{Patch: `{"state":{}}`}); got.err != nil || !got.changed || got.Version != 3 {
		t.Errorf("recreated: %+v", got)
	}
}

// What would change nothing does nothing: no version, nothing published.
func TestTransactNothing(t *testing.T) {
	st := openStation(t)
	st.tell(updateTopic("a"), `{"state":{"desired":{"k":1,"l":[1,2],"o":{}}}}`)
	stays := localshadow.State{Desired: `{"k":1,"l":[1,2],"o":{}}`}
	for _, e := range []localshadow.Edit{
		{}, {Patch: `{"state":{}}`}, {Patch: `{"state":{"desired":{"k":1.0,"l":[1,2],"x":null,"o":{"y":null}},"reported":null}}`},
	} {
		got := st.edit("a", e)
		if got.err != nil || got.changed || got.Version != 1 || got.Current != stays || got.Deleted {
			t.Errorf("%+v: %+v", e, got)
		}
	}
	if got := st.edit("b", localshadow.Edit{Delete: true}); got.err != nil || got.changed || got.Version != 0 {
		t.Errorf("nothing to delete: %+v", got)
	}
	if p := st.published(); p != "" {
		t.Errorf("published %s", p)
	}
	if s := st.Stats(); s.Accepted != 1 || s.Waiting != 0 {
		t.Errorf("stats %+v", s)
	}
}

// On an error nothing is left of what f wrote, nor is anything published.
func TestTransactFails(t *testing.T) {
	st := openStation(t)
	st.tell(updateTopic("a"), desired("k", 1))
	mine := errors.New("mine")
	st.transact("a", keeping("good", localshadow.Edit{}, nil))
	st.take()
	for _, c := range []struct {
		edit localshadow.Edit
		err  error
		is   func(error) bool
	}{
		{localshadow.Edit{Patch: desired("k", 2)}, mine, func(err error) bool { return err == mine }},
		{localshadow.Edit{Patch: `{"state":5}`}, nil, rejected(400)},
		{localshadow.Edit{Patch: `{"state":{"desired":{"k":2}},"version":7}`}, nil, rejected(409)},
		{localshadow.Edit{Patch: desired("k", 2), Delete: true}, nil, func(err error) bool { return err != nil }},
		{localshadow.Edit{Conflicts: []localshadow.Conflict{{Local: json.RawMessage(`{`)}}}, nil, func(err error) bool { return err != nil }},
	} {
		got := st.transact("a", keeping("bad", c.edit, c.err))
		if !c.is(got.err) || got.changed {
			t.Errorf("%+v: %+v", c.edit, got)
		}
	}
	if got := st.edit("$", localshadow.Edit{}); !rejected(400)(got.err) {
		t.Errorf("no thing: %+v", got)
	}
	d, err := st.Document(context.Background(), "a", "")
	if err != nil || d.Version != 1 || st.notes() != "good" || st.published() != "" {
		t.Errorf("left %+v %v, notes %s", d, err, st.notes())
	}
}

func rejected(code int) func(error) bool {
	return func(err error) bool {
		var r *localshadow.Rejection
		return errors.As(err, &r) && r.Code == code
	}
}

// A damaged row is told as that, and shown.
func TestTransactDamaged(t *testing.T) {
	st := openStation(t)
	st.tell(updateTopic("a"), desired("k", 1))
	st.damage(`UPDATE shadows SET desired = '{'`)
	if got := st.edit("a", localshadow.Edit{Patch: desired("k", 2)}); !errors.Is(got.err, localshadow.ErrDamaged) {
		t.Errorf("told %+v", got)
	}
	if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0], "cannot be read") {
		t.Errorf("faults %q", f)
	}
}

// What the cloud took comes down, whatever the limits of this gateway; and what is
// too large for a device may still be made smaller by it.
func TestTransactLenient(t *testing.T) {
	st := openStation(t)
	long := strings.Repeat("x", 20_000)
	for _, patch := range []string{
		desired("k", `"`+long+`"`), desired("n", "[null]"), desired("deep", nest(30, `{"a":`, `}`)),
	} {
		if got := st.edit("a", localshadow.Edit{Patch: patch}); got.err != nil || !got.changed {
			t.Errorf("%.40s: %v", patch, got.err)
		}
	}
	st.take()
	if got := st.tell(updateTopic("a"), desired("more", 1)); !strings.HasPrefix(got, `update/rejected {"code":413`) {
		t.Errorf("larger: %.100s", got)
	}
	if got := st.tell(updateTopic("a"), desired("deep", 1)); !strings.Contains(got, "update/accepted") {
		t.Errorf("smaller: %.100s", got)
	}
}

// Edits have room of their own: devices cannot take it, nor edits theirs.
func TestTransactRoom(t *testing.T) {
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.Pending, o.Bounds.Edits = 4, 3 })
	hold := st.hold()
	ended := make(chan error, 20)
	done := func(_ localshadow.Change, _ bool, err error) { ended <- err }
	nothing := func(*sqlite.Tx, localshadow.Document) (localshadow.Edit, error) { return localshadow.Edit{}, nil }
	for range 3 {
		st.Transact("a", "", nothing, done)
	}
	st.Transact("a", "", nothing, done)
	select {
	case err := <-ended:
		if !errors.Is(err, localshadow.ErrBusy) {
			t.Errorf("the fourth edit: %v", err)
		}
	default:
		t.Error("the fourth edit is not refused")
	}
	for i := range 6 {
		err := st.Deliver(updateTopic("a"), []byte(desired("k", i)), device, func(err error) { ended <- err })
		if busy := errors.Is(err, localshadow.ErrBusy); busy != (i >= 4) {
			t.Errorf("request %d: %v", i, err)
		}
	}
	close(hold)
	for range 3 + 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// Edits that were taken are told at the end, later ones are refused.
func TestTransactStop(t *testing.T) {
	st := openStation(t)
	told := 0
	for i := range 100 {
		st.Transact("a", "", func(*sqlite.Tx, localshadow.Document) (localshadow.Edit, error) {
			return localshadow.Edit{Patch: desired("k", fmt.Sprint(i))}, nil
		}, func(_ localshadow.Change, changed bool, err error) {
			if told++; err != nil || !changed {
				t.Errorf("told %v", err)
			}
		})
	}
	st.stop()
	if told != 100 {
		t.Errorf("%d of 100 are told", told)
	}
	if got := st.edit("a", localshadow.Edit{}); !errors.Is(got.err, localshadow.ErrStopped) {
		t.Errorf("after the end: %+v", got)
	}
}

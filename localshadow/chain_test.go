package localshadow_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// versions are those of a shadow's journal, newest first.
func (st *station) versions(thing string) string {
	st.Helper()
	all, err := st.History(context.Background(), thing, "", 0, 0)
	if err != nil {
		st.Fatal(err)
	}
	versions := []int64{}
	for _, e := range all {
		versions = append(versions, e.Version)
	}
	return fmt.Sprint(versions)
}

// A store of before the chain: its journals go on, those of forgotten shadows too.
func TestChainOfFormerStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shadows.db")
	former := fstest.MapFS{}
	names, err := fs.Glob(localshadow.Migrations(), "0[1-4]-*.sql")
	if err != nil || len(names) != 4 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(localshadow.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		former[name] = &fstest.MapFile{Data: data}
	}
	db, err := sqlite.Open(sqlite.Options{File: file, Migrations: former, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, db.Run)
	err = db.Update(context.Background(), func(tx *sqlite.Tx) error {
		for _, sql := range []string{
			`INSERT INTO shadows (thing, name, version, deleted, updated, bytes, desired, reported, times, entry, entries)
				VALUES ('a', '', 3, 0, 100, 7, '{"k":3}', '', x'01c801', 0, 7)`,
			`INSERT INTO journal SELECT value, CASE value % 2 WHEN 1 THEN 'a' ELSE 'gone' END, '', (value - 1) / 2, (value + 1) / 2, (value + 1) / 2, 0, 0,
				'device', '', '', format('[["desired","/k",%s,%d]]', CASE WHEN value < 3 THEN 'null' ELSE (value - 1) / 2 END, (value + 1) / 2), '', 100, 100 * value
				FROM json_each('[1,2,3,4,5]')`,
		} {
			if err := tx.Exec(sql); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	stop()

	st := openStationAt(t, file)
	same(t, "versions", st.versions("a"), "[3 2 1]")
	same(t, "versions of a shadow that is forgotten", st.versions("gone"), "[2 1]")
	st.tell(updateTopic("a"), desired("k", 4))
	st.tell(updateTopic("gone"), desired("k", 1))
	same(t, "versions", st.versions("a"), "[4 3 2 1]")
	same(t, "versions of a shadow that is back", st.versions("gone"), "[1 2 1]")
	if s, err := st.At(context.Background(), "a", "", 1); err != nil || s.Desired != `{"k":1}` {
		t.Errorf("version 1 was %+v, %v", s, err)
	}
	st.checkJournalBytes()
}

// The journal of a shadow that was deleted, and then forgotten, is there, and goes on when
// the shadow comes back.
func TestChainOfForgotten(t *testing.T) { synctest.Test(t, testChainOfForgotten) }

func testChainOfForgotten(t *testing.T) {
	st := openStation(t)
	for _, thing := range []string{"a", "b"} {
		st.tell(updateTopic(thing), desired("k", 1))
		st.tell(updateTopic(thing), desired("k", 2))
		st.tell("$aws/things/"+thing+"/shadow/delete", "")
		<-time.After(49 * time.Hour) // the deletion of b has a forgotten
	}
	same(t, "versions", st.versions("a"), "[2 2 1]")
	conflict := []localshadow.Conflict{{Section: "desired", Winner: "cloud"}}
	st.edit("a", localshadow.Edit{Conflicts: conflict}) // there is no document to keep it with
	same(t, "versions with a conflict", st.versions("a"), "[0 2 2 1]")
	st.tell(updateTopic("a"), desired("k", 3))
	same(t, "versions of the shadow that is back", st.versions("a"), "[1 0 2 2 1]")
}

// What is too much in the journals goes, also if nobody reads them.
func TestSweep(t *testing.T) {
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.Journal = 10 })
	const updates = 1500
	settled := make(chan error, updates)
	for i := range updates {
		if err := st.Deliver(updateTopic(fmt.Sprint(i%7)), []byte(desired("k", i)), device, func(err error) { settled <- err }); err != nil {
			t.Fatal(err)
		}
	}
	for range updates {
		if err := <-settled; err != nil {
			t.Fatal(err)
		}
	}
	var rows int
	if err := st.DB.View(context.Background(), func(tx *sqlite.Tx) error { return tx.QueryRow(`SELECT count(*) FROM journal`).Scan(&rows) }); err != nil {
		t.Fatal(err)
	}
	if rows < 70 || rows > 70+2*70+64 {
		t.Errorf("%d entries of 7 shadows, of each of which 10 are kept", rows)
	}
	st.checkJournalBytes()
}

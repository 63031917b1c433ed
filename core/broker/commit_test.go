package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"greengate/core/sqlite"
)

// Of what waits for a disk that fails, only what counts stays.
func TestOutlast(t *testing.T) {
	var told, ran []string
	change := func(name string, k key, safe, undoes bool) op {
		o := op{key: k, safe: safe, undoes: undoes, run: func(*sqlite.Tx) error { ran = append(ran, name); return nil }}
		if safe {
			o.done = func() { told = append(told, name) }
		}
		return o
	}
	kept, freed, lost := outlast([]op{
		change("old delete", key{n: 1}, false, true),
		change("insert", key{n: 2}, true, false),
		change("session", key{}, false, false),
		change("retained 1", key{topic: "t"}, true, false),
		change("delete", key{n: 2}, false, true),
		change("retained 2", key{topic: "t"}, true, false),
		change("waits", key{n: 3}, true, false),
		altering(change("alter what is written", key{n: 4}, false, false)),
		change("delete 4", key{n: 4}, false, true),
		change("insert 5", key{n: 5}, true, false),
		altering(change("alter 5", key{n: 5}, false, false)),
		change("delete 5", key{n: 5}, true, true),
	})
	if lost != 0 || len(freed) != 3 {
		t.Errorf("%d lost, %d freed", lost, len(freed))
	}
	for _, f := range freed {
		f()
	}
	for _, o := range kept {
		_ = o.run(nil)
		if o.done != nil {
			o.done()
		}
	}
	if want := []string{"old delete", "session", "retained 2", "waits", "delete 4"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	if want := []string{"insert", "insert 5", "delete 5", "retained 1", "retained 2", "waits"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func altering(o op) op {
	o.alters = true
	return o
}

func TestOutlastIsBounded(t *testing.T) {
	var ops []op
	for i := range maxBehind + 10 {
		ops = append(ops, op{key: key{n: int64(i + 1)}, run: func(*sqlite.Tx) error { return nil }})
	}
	kept, _, lost := outlast(ops)
	if len(kept) != maxBehind || lost != 10 || kept[0].key.n != 11 {
		t.Errorf("%d kept, from %d, %d lost", len(kept), kept[0].key.n, lost)
	}
}

// One change that cannot be made does not take the others with it.
func TestOneBadChange(t *testing.T) {
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(t.TempDir(), "x.db"), Migrations: Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = db.Run(t.Context()) }()
	st := newStore(db, slog.New(slog.DiscardHandler))
	var told []string
	change := func(name string, err error) op {
		return op{safe: true, done: func() { told = append(told, name) }, run: func(tx *sqlite.Tx) error {
			return errors.Join(err, tx.Exec("INSERT INTO sessions VALUES (?, 1)", name))
		}}
	}
	if !st.commit([]op{change("a", nil), change("b", errors.New("no")), change("c", nil)}) {
		t.Error("a bad change is taken for a bad disk")
	}
	if want := "[a b c]"; fmt.Sprint(told) != want {
		t.Errorf("told %v, want %s", told, want)
	}
	var things string
	if err := db.View(t.Context(), func(tx *sqlite.Tx) error {
		return tx.QueryRow("SELECT group_concat(thing) FROM sessions").Scan(&things)
	}); err != nil || strings.ReplaceAll(things, ",", "") != "ac" {
		t.Errorf("sessions %q (%v), want a and c", things, err)
	}
}

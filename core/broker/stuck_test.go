package broker

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"greengate/core/sqlite"
)

// narrow is a store whose disk has no room for some changes.
type narrow struct {
	*store
	full func(name string) bool
	told []string
}

// newNarrow runs a store until the test ends.
func newNarrow(t *testing.T, full func(name string) bool) *narrow {
	t.Helper()
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(t.TempDir(), "x.db"), Migrations: Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	n := &narrow{store: newStore(db, slog.New(slog.DiscardHandler)), full: full}
	ended := make(chan error, 1)
	go func() { ended <- db.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return n
}

// change is an op with that name.
func (n *narrow) change(name string, o op) op {
	o.run = func(tx *sqlite.Tx) error {
		if n.full(name) {
			return fmt.Errorf("test: %w", sqlite.ErrFull)
		}
		return tx.Exec("INSERT INTO sessions VALUES (?, 1)", name)
	}
	o.done = func() { n.told = append(n.told, name) }
	return o
}

// commitAll does what run does with a list and what is stuck, until a round is over.
func (n *narrow) commitAll(ops ...op) {
	n.commit(n.unbarred(ops))
	for part, _ := n.part(); len(part) > 0; part, _ = n.part() {
		n.retry()
	}
	n.retry()
}

// wants checks who was told since the last call, in order, and what is on disk, sorted.
func (n *narrow) wants(t *testing.T, told, disk string) {
	t.Helper()
	if got := strings.Join(n.told, " "); got != told {
		t.Errorf("told %q, want %q", got, told)
	}
	n.told = nil
	if got := strings.Join(n.names(t), " "); got != disk {
		t.Errorf("on disk %q, want %q", got, disk)
	}
}

func (n *narrow) names(t *testing.T) (names []string) {
	t.Helper()
	err := n.db.View(t.Context(), func(tx *sqlite.Tx) error {
		rows, err := tx.Query("SELECT thing FROM sessions ORDER BY thing")
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func big(name string) bool { return strings.HasPrefix(name, "big") }

// On a full disk only that waits for which there is no room, and what must not overtake
// it: of the same source.
func TestFullDiskStopsOnlyWhatDoesNotFit(t *testing.T) {
	n := newNarrow(t, big)
	message := func(name, source string) op {
		return n.change(name, op{key: key{topic: name}, source: source, to: "b", safe: true})
	}
	n.commitAll(
		message("1", "x"), message("big2", "x"), message("3", "x"), message("4", "y"),
		n.change("5", op{session: "b", safe: true}), message("big6", "z"), message("7", "y"), message("8", "z"), message("9", "w"),
	)
	n.wants(t, "1 4 5 7 9", "1 4 5 7 9")
	// Later ones too, and the fault stays.
	n.commitAll(message("91", "x"), message("92", "y"))
	n.wants(t, "92", "1 4 5 7 9 92")
	if n.fault == nil || n.behind != 5 {
		t.Errorf("fault %v with %d behind, want one with 5", n.fault, n.behind)
	}
	// One goes by itself: its deletion ends the waiting.
	gone := n.change("delete", op{key: key{topic: "big2"}, undoes: true})
	gone.done = nil
	n.commitAll(gone)
	n.wants(t, "big2 3 91", "1 3 4 5 7 9 91 92")
	n.full = func(string) bool { return false }
	n.commitAll()
	n.wants(t, "big6 8", "1 3 4 5 7 8 9 91 92 big6")
	if n.fault != nil || len(n.stuck) > 0 {
		t.Errorf("fault %v, %d stuck, want none", n.fault, len(n.stuck))
	}
}

// A message must not be on disk without the session that it is for, nor after its end.
func TestFullDiskKeepsSessionsBeforeTheirMessages(t *testing.T) {
	n := newNarrow(t, big)
	message := func(name, to string) op {
		return n.change(name, op{key: key{topic: name}, source: name, to: to, safe: true})
	}
	n.commitAll(n.change("big1", op{session: "b", safe: true}), message("2", "b"), message("3", "c"), message("big4", "c"))
	n.wants(t, "3", "3")
	n.commitAll(n.change("5", op{session: "c", ends: true}))
	n.wants(t, "5 big4", "3 5")
	n.full = func(string) bool { return false }
	n.commitAll()
	n.wants(t, "big1 2", "2 3 5 big1")
}

// A disk that takes nothing for a while gets all of it later, in the order of each
// source.
func TestDiskThatComesBack(t *testing.T) {
	n := newNarrow(t, func(string) bool { return true })
	var want []string
	for i := range 300 {
		name := fmt.Sprintf("%c%02d", 'a'+i%3, i/3)
		want = append(want, name)
		n.commitAll(n.change(name, op{key: key{topic: name}, source: name[:1], to: "b", safe: true}))
	}
	slices.Sort(want)
	n.wants(t, "", "")
	n.full = func(string) bool { return false }
	n.commitAll()
	slices.SortStableFunc(n.told, func(a, b string) int { return cmp.Compare(a[0], b[0]) })
	n.wants(t, strings.Join(want, " "), strings.Join(want, " "))
}

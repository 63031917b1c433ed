package localshadow

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"greengate/core/sqlite"
)

// Versions of restored shadows, the deleted ones included, are above all that were seen.
func TestMend(t *testing.T) {
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(t.TempDir(), "x.db"), Migrations: Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = db.Run(t.Context()) }()
	var got []string
	err = db.Update(context.Background(), func(tx *sqlite.Tx) error {
		for version, deleted := range []bool{false, true} {
			if err := save(tx, fmt.Sprint("thing", version), "", &Document{Version: int64(version + 1), Deleted: deleted}); err != nil {
				return err
			}
		}
		if err := Mend(tx); err != nil {
			return err
		}
		got = nil
		for version := range 2 {
			d, err := load(tx, fmt.Sprint("thing", version), "")
			if err != nil {
				return err
			}
			got = append(got, fmt.Sprint(d.Version, d.Deleted))
		}
		return nil
	})
	if want := "[1000001 false 1000002 true]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v (%v), want %s", got, err, want)
	}
	for table, column := range NewerColumn() {
		if err := db.View(t.Context(), func(tx *sqlite.Tx) error {
			var n int
			return tx.QueryRow("SELECT count(" + column + ") FROM " + table).Scan(&n)
		}); err != nil {
			t.Errorf("%s.%s: %v", table, column, err)
		}
	}
}

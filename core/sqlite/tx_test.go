package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// in runs f in a transaction that can write.
func in(t *testing.T, f func(tx *Tx)) {
	t.Helper()
	db := runDB(t, Options{})
	err := db.Update(t.Context(), func(tx *Tx) error { f(tx); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestValuesComeBackAsTheyWent(t *testing.T) {
	type name string
	type level int8
	in(t, func(tx *Tx) {
		row := tx.QueryRow("SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?",
			nil, true, 7, int64(1)<<62, 2.5, "Ä", []byte{0, 1}, []byte{}, name("n"), level(-3), uint16(9))
		var (
			null   any = "set"
			truth  bool
			small  int
			large  int64
			real   float64
			text   string
			blob   []byte
			empty  []byte
			named  name
			leveld level
			un     uint16
		)
		if err := row.Scan(&null, &truth, &small, &large, &real, &text, &blob, &empty, &named, &leveld, &un); err != nil {
			t.Error(err)
		}
		got := fmt.Sprint(null, truth, small, large, real, text, blob, empty != nil, len(empty), named, leveld, un)
		if want := fmt.Sprint(nil, true, 7, int64(1)<<62, 2.5, "Ä", []byte{0, 1}, true, 0, "n", -3, 9); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestNull(t *testing.T) {
	in(t, func(tx *Tx) {
		var n sql.Null[int64]
		blob := []byte{1}
		if err := tx.QueryRow("SELECT NULL, NULL").Scan(&n, &blob); err != nil || n.Valid || blob != nil {
			t.Errorf("NULL became %v and %v (%v)", n, blob, err)
		}
		if err := tx.QueryRow("SELECT 5, NULL").Scan(&n, &blob); err != nil || n.V != 5 || !n.Valid {
			t.Errorf("5 became %v (%v)", n, err)
		}
		var text string
		if err := tx.QueryRow("SELECT NULL").Scan(&text); err == nil {
			t.Error("NULL was scanned into a string")
		}
	})
}

func TestScanRefusesLoss(t *testing.T) {
	in(t, func(tx *Tx) {
		var i8 int8
		var u uint64
		var i int
		var s string
		for sql, dest := range map[string]any{
			"SELECT 300": &i8, "SELECT -1": &u, "SELECT 'x'": &i, "SELECT 1.5": &i, "SELECT 1": &s, "SELECT 2": i, "SELECT 3": (*int)(nil),
		} {
			if err := tx.QueryRow(sql).Scan(dest); err == nil || !strings.Contains(err.Error(), "column 1") {
				t.Errorf("%s into %T: error %v, want one that names the column", sql, dest, err)
			}
		}
		if err := tx.QueryRow("SELECT 1, 2").Scan(&i); err == nil {
			t.Error("two columns were scanned into one variable")
		}
		wantError(t, tx.QueryRow("SELECT 1 WHERE 0").Scan(&i), ErrNoRows)
	})
}

func TestArguments(t *testing.T) {
	in(t, func(tx *Tx) {
		for want, args := range map[string][]any{"2 arguments for 1": {1, 2}, "0 arguments for 1": {}, "UnixMilli": {time.Now()}, "argument 1": {struct{}{}}} {
			if err := tx.Exec("SELECT ?", args...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %v, want %q", args, err, want)
			}
		}
	})
}

func TestStatementsThatAreNotForFunctions(t *testing.T) {
	in(t, func(tx *Tx) {
		for _, sql := range []string{
			"COMMIT", " ; commit", "BEGIN IMMEDIATE", "/* really */ ROLLBACK", "-- so\nEND;", "SAVEPOINT x", "RELEASE f", "PRAGMA synchronous=OFF",
			"ATTACH 'x' AS y", "VACUUM", "DELETE FROM rows; DELETE FROM rows", "SELECT ';' ; SELECT 1", "", " ", "-- nothing",
		} {
			if err := tx.Exec(sql); err == nil {
				t.Errorf("%q was run", sql)
			}
		}
		for _, sql := range []string{
			"SELECT ';', \"id\" FROM rows ;\n", "SELECT 'it''s; fine' -- ; SELECT\n;", "WITH a AS (SELECT 1) SELECT * FROM a", "SELECT [id] FROM rows /* ; */",
			"SELECT freelist_count FROM pragma_freelist_count",
		} {
			if err := tx.Exec(sql); err != nil {
				t.Errorf("%q: %v", sql, err)
			}
		}
	})
}

func TestChanges(t *testing.T) {
	in(t, func(tx *Tx) {
		if err := tx.Exec("INSERT INTO rows (id) VALUES (1), (2), (40)"); err != nil {
			t.Error(err)
		}
		if id, err := tx.LastInsertID(); id != 40 || err != nil {
			t.Errorf("last id %d (%v), want 40", id, err)
		}
		if err := tx.Exec("DELETE FROM rows WHERE id < ?", 10); err != nil {
			t.Error(err)
		}
		if n, err := tx.Changes(); n != 2 || err != nil {
			t.Errorf("%d changes (%v), want 2", n, err)
		}
		var id int
		if err := tx.QueryRow("INSERT INTO rows (text) VALUES ('x') RETURNING id").Scan(&id); id != 41 || err != nil {
			t.Errorf("returned id %d (%v), want 41", id, err)
		}
	})
}

// The same text may run inside a loop over its own rows.
func TestNestedQueries(t *testing.T) {
	const three = "SELECT value FROM (SELECT 1 AS value UNION SELECT 2 UNION SELECT 3)"
	in(t, func(tx *Tx) {
		var sum int
		outer, err := tx.Query(three)
		if err != nil {
			t.Error(err)
			return
		}
		for outer.Next() {
			inner, err := tx.Query(three)
			if err != nil {
				t.Error(err)
				return
			}
			for inner.Next() {
				var a, b int
				if err := errors.Join(outer.Scan(&a), inner.Scan(&b)); err != nil {
					t.Error(err)
				}
				sum += a * b
			}
		}
		if sum != 36 || outer.Err() != nil {
			t.Errorf("sum %d (%v), want 36", sum, outer.Err())
		}
	})
}

func TestManyTexts(t *testing.T) {
	in(t, func(tx *Tx) {
		for range 2 {
			for i := range 3 * maxStatements {
				var n int
				if err := tx.QueryRow(fmt.Sprint("SELECT ", i)).Scan(&n); err != nil || n != i {
					t.Fatalf("SELECT %d gave %d (%v)", i, n, err)
				}
			}
		}
		if n := len(tx.conn.stmts); n > maxStatements {
			t.Errorf("%d statements are kept, want at most %d", n, maxStatements)
		}
	})
}

func TestTxEndsWithItsFunction(t *testing.T) {
	db := runDB(t, Options{})
	var kept *Tx
	var rows *Rows
	err := db.Update(t.Context(), func(tx *Tx) (err error) {
		kept = tx
		rows, err = tx.Query("SELECT 1 UNION SELECT 2")
		if !rows.Next() {
			t.Error("no first row")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, kept.Exec("SELECT 1"), ErrTxEnded)
	if rows.Next() {
		t.Error("a row after the end")
	}
	wantError(t, rows.Err(), ErrTxEnded)
	wantError(t, rows.Scan(new(int)), ErrTxEnded)
}

// Who remembers what is in the database learns that something was undone.
func TestUndone(t *testing.T) {
	db := runDB(t, Options{})
	number := func() (n uint64) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx *Tx) error { n = tx.Undone(); return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	first := number()
	if err := db.Update(t.Context(), insert(1)); err != nil {
		t.Fatal(err)
	}
	if n := number(); n != first {
		t.Errorf("%d after a good commit, was %d", n, first)
	}
	wantError(t, db.Update(t.Context(), func(tx *Tx) error { return errors.Join(insert(2)(tx), errMine) }), errMine)
	if n := number(); n <= first {
		t.Errorf("%d after a function was undone, was %d", n, first)
	}
}

package localshadow_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// Versions of restored shadows, the deleted ones included, are above all that were
// seen, and the journal goes on. Of a copy what the cloud was known to have stays, with
// the documents of that moment; of what was read row by row it is forgotten.
func TestMend(t *testing.T) {
	for _, c := range []struct {
		name   string
		mend   func(*sqlite.Tx) error
		age    time.Duration // since the newest change
		leap   int64
		detail string
		known  string
	}{
		{"damage", localshadow.Mend, 0, 1_000_000, "restored after damage", ""},
		{"copy", localshadow.MendCopy, 0, 1_000_000, "restored from a copy", `a 1 7 {"k":1} 0, b 1 8 {"k":2} 1, `},
		{"backup", localshadow.MendCopy, 30*24*time.Hour + time.Hour, 52_840_000, "restored from a copy", `a 1 7 {"k":1} 0, b 1 8 {"k":2} 1, `},
		{"clock far behind", localshadow.MendCopy, -50 * 365 * 24 * time.Hour, 1_000_000, "restored from a copy", `a 1 7 {"k":1} 0, b 1 8 {"k":2} 1, `},
		{"clock was far behind", localshadow.MendCopy, 50 * 365 * 24 * time.Hour, 633_448_000, "restored from a copy", `a 1 7 {"k":1} 0, b 1 8 {"k":2} 1, `},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "shadows.db")
				st := openStationAt(t, file, func(_ *sqlite.Options, o *localshadow.Options) {
					o.Now = func() time.Time { return time.Now().Add(-c.age) }
				})
				for _, thing := range []string{"a", "b"} {
					st.tell(updateTopic(thing), desired("k", 1))
					st.tell(updateTopic(thing), desired("k", 2))
				}
				st.tell("$aws/things/b/shadow/delete", "")
				st.knows("a", 7, `{"k":1}`, 0)
				st.knows("b", 8, `{"k":2}`, 1)
				if err := st.DB.Update(context.Background(), c.mend); err != nil {
					t.Fatal(err)
				}
				st.stop()
				st = openStationAt(t, file)
				st.checkMended(c.leap, c.detail)
				same(t, "what the cloud is known to have", st.known(), c.known)
			})
		})
	}
}

// checkMended looks at two shadows that had two versions each, of which b was deleted.
func (st *station) checkMended(leap int64, detail string) {
	st.Helper()
	ctx := context.Background()
	st.checkJournalBytes()
	for _, thing := range []string{"a", "b"} {
		if got := st.tell(updateTopic(thing), desired("k", 3)); !strings.Contains(got, fmt.Sprintf(`"version":%d,`, leap+3)) {
			st.Errorf("%s goes on with %s, want %d", thing, got, leap+3)
		}
		for v := range int64(2) {
			s, err := st.At(ctx, thing, "", v+1)
			if want := fmt.Sprintf(`{"k":%d}`, v+1); err != nil || s.Desired != want {
				st.Errorf("%s: version %d was %+v, %v", thing, v+1, s, err)
			}
		}
	}
	// A shadow that is new here may have been made after the copy.
	if got := st.tell(updateTopic("c"), desired("k", 1)); !strings.Contains(got, fmt.Sprintf(`"version":%d,`, leap+1)) {
		st.Errorf("a new one begins with %s, want %d", got, leap+1)
	}
	if s, err := st.At(ctx, "c", "", leap+1); err != nil || s.Desired != `{"k":1}` {
		st.Errorf("it was %+v, %v", s, err)
	}
	all, err := st.History(ctx, "a", "", 0, 0)
	if err != nil || len(all) != 4 || all[1].Source != (localshadow.Source{Kind: "gateway", Detail: detail}) || all[1].Version != leap+2 {
		st.Errorf("history %+v, %v", all, err)
	}
}

// knows stores what the cloud has, as sync/shadows does.
func (st *station) knows(thing string, version int64, desired string, gone int) {
	st.Helper()
	if err := st.DB.Update(context.Background(), func(tx *sqlite.Tx) error {
		return tx.Exec(`INSERT INTO sync (thing, name, found, version, desired, reported, times, sent, gone, blocked, blocked_at, conflict)
			VALUES (?, '', 1, ?, ?, '', x'', '', ?, '', 0, 0)`, thing, version, desired, gone)
	}); err != nil {
		st.Fatal(err)
	}
}

// known is what the cloud is known to have.
func (st *station) known() (text string) {
	st.Helper()
	if err := st.DB.View(context.Background(), func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT coalesce(group_concat(concat_ws(' ', thing, found, version, desired, gone) || ', ', ''), '')
			FROM (SELECT * FROM sync ORDER BY thing)`).Scan(&text)
	}); err != nil {
		st.Fatal(err)
	}
	return text
}

// The columns that tell which row is newer are there.
func TestNewerColumn(t *testing.T) {
	st := openStation(t)
	for table, column := range localshadow.NewerColumn() {
		if err := st.DB.View(context.Background(), func(tx *sqlite.Tx) error {
			var n int
			return tx.QueryRow("SELECT count(" + column + ") FROM " + table).Scan(&n)
		}); err != nil {
			t.Errorf("%s.%s: %v", table, column, err)
		}
	}
}

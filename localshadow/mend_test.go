package localshadow_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// Versions of restored shadows, the deleted ones included, are above all that were
// seen; the journal goes on, and what the cloud was known to have is forgotten.
func TestMend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shadows.db")
	st := openStationAt(t, file)
	ctx := context.Background()
	for _, thing := range []string{"a", "b"} {
		st.tell(updateTopic(thing), desired("k", 1))
		st.tell(updateTopic(thing), desired("k", 2))
	}
	st.tell("$aws/things/b/shadow/delete", "")
	err := st.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if err := tx.Exec(`INSERT INTO sync SELECT 1, 'a', '', 1, 7, '', '', x'', '', 0, '', 0, 0, 0`); err != nil {
			return err
		}
		return localshadow.Mend(tx)
	})
	if err != nil {
		t.Fatal(err)
	}
	st.stop()
	st = openStationAt(t, file)
	st.checkJournalBytes()
	var known int
	if err := st.DB.View(ctx, func(tx *sqlite.Tx) error { return tx.QueryRow(`SELECT count(*) FROM sync`).Scan(&known) }); err != nil || known != 0 {
		t.Errorf("%d rows of what the cloud has, %v", known, err)
	}
	for thing, version := range map[string]int64{"a": 1_000_003, "b": 1_000_003} {
		if got := st.tell(updateTopic(thing), desired("k", 3)); !strings.Contains(got, fmt.Sprintf(`"version":%d,`, version)) {
			t.Errorf("%s goes on with %s", thing, got)
		}
		for v := range int64(2) {
			s, err := st.At(ctx, thing, "", v+1)
			if want := fmt.Sprintf(`{"k":%d}`, v+1); err != nil || s.Desired != want {
				t.Errorf("%s: version %d was %+v, %v", thing, v+1, s, err)
			}
		}
	}
	all, err := st.History(ctx, "a", "", 0, 0)
	if err != nil || len(all) != 4 || all[1].Source != (localshadow.Source{Kind: "gateway", Detail: "restored after damage"}) || all[1].Version != 1_000_002 {
		t.Errorf("history %+v, %v", all, err)
	}
	for table, column := range localshadow.NewerColumn() {
		if err := st.DB.View(ctx, func(tx *sqlite.Tx) error {
			var n int
			return tx.QueryRow("SELECT count(" + column + ") FROM " + table).Scan(&n)
		}); err != nil {
			t.Errorf("%s.%s: %v", table, column, err)
		}
	}
}

package localshadow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// history returns the journal of a thing's classic shadow, a line of JSON for each
// entry, newest first, without its ID and time.
func (st *station) history(thing string) string {
	st.Helper()
	all, err := st.History(context.Background(), thing, "", 0, 0)
	if err != nil {
		st.Fatal(err)
	}
	var lines []string
	for i, e := range all {
		if e.ID <= 0 || i > 0 && e.ID >= all[i-1].ID || e.At != noon.UnixMilli() {
			st.Errorf("entry %+v", e)
		}
		b, err := json.Marshal(e)
		if err != nil {
			st.Fatal(err)
		}
		_, line, _ := strings.Cut(string(b), `,"version"`)
		line = strings.Replace(line, fmt.Sprintf(`"at":%d,`, e.At), "", 1)
		lines = append(lines, `{"version"`+line)
	}
	return strings.Join(lines, "\n")
}

// The journal tells who changed what, from and to what.
func TestHistory(t *testing.T) {
	st := openStation(t, atNoon)
	by := func(kind, name string) localshadow.Source { return localshadow.Source{Kind: kind, Name: name} }
	update := func(from localshadow.Source, payload string) {
		t.Helper()
		if _, err := st.Update(context.Background(), "a", "", []byte(payload), from); err != nil {
			t.Fatal(err)
		}
	}
	update(localshadow.Source{Kind: "device", Name: "a", Detail: "3f0a"}, `{"state":{"reported":{"k":1,"o":{"p":1,"q":2}}}}`)
	update(by("function", "f"), `{"state":{"desired":{"k":[1,2]},"reported":{"k":1.0,"x":null,"o":{"q":null,"r/~\"é":{}}}}}`)
	update(by("operator", "pi"), `{"state":{"reported":{"o":5},"desired":null}}`)
	if _, err := st.Update(context.Background(), "a", "named", []byte(`{"state":{}}`), device); err != nil {
		t.Fatal(err)
	}
	conflict := localshadow.Conflict{Section: "desired", Path: "/k", Local: json.RawMessage("1"), Cloud: json.RawMessage("2"), Winner: "cloud"}
	st.edit("a", localshadow.Edit{Patch: `{"state":{"desired":{"k":2}}}`, Conflicts: []localshadow.Conflict{conflict}})
	conflict.Winner, conflict.Base = "local", json.RawMessage(`{"b":[]}`)
	st.edit("a", localshadow.Edit{Conflicts: []localshadow.Conflict{conflict}})
	if _, err := st.Delete(context.Background(), "a", "", nil, by("operator", "pi")); err != nil {
		t.Fatal(err)
	}
	update(device, `{"state":{"reported":{}}}`)
	same(t, "history", st.history("a"), strings.Join([]string{
		`{"version":5,"first":5,"source":{"kind":"device","name":"GG_Test"}}`,
		`{"version":4,"first":4,"source":{"kind":"operator","name":"pi"},"deleted":true,"changes":[` +
			`{"section":"desired","path":"","before":{"k":2}},{"section":"reported","path":"","before":{"k":1.0,"o":5}}]}`,
		`{"version":4,"first":4,"source":{"kind":"cloud"},"conflicts":[{"section":"desired","path":"/k","local":1,"cloud":2,"base":{"b":[]},"winner":"local"}]}`,
		`{"version":4,"first":4,"source":{"kind":"cloud"},"changes":[{"section":"desired","path":"/k","after":2}],` +
			`"conflicts":[{"section":"desired","path":"/k","local":1,"cloud":2,"winner":"cloud"}]}`,
		`{"version":3,"first":3,"source":{"kind":"operator","name":"pi"},"changes":[` +
			`{"section":"reported","path":"/o","before":{"p":1,"r/~\"é":{}},"after":5},{"section":"desired","path":"","before":{"k":[1,2]}}]}`,
		`{"version":2,"first":2,"source":{"kind":"function","name":"f"},"changes":[{"section":"desired","path":"/k","after":[1,2]},` +
			`{"section":"reported","path":"/o/q","before":2},{"section":"reported","path":"/o/r~1~0\"é","after":{}}]}`,
		`{"version":1,"first":1,"source":{"kind":"device","name":"a","detail":"3f0a"},"changes":[` +
			`{"section":"reported","path":"/k","after":1},{"section":"reported","path":"/o","after":{"p":1,"q":2}}]}`,
	}, "\n"))
	if all, err := st.History(context.Background(), "nobody", "", 0, 0); err != nil || all == nil || len(all) != 0 {
		t.Errorf("of no shadow: %v, %v", all, err)
	}
	if _, err := st.History(context.Background(), "a", "§", 0, 0); !rejected(400)(err) {
		t.Errorf("of no name: %v", err)
	}
}

// Pages of the journal, and the journal after a restart.
func TestHistoryPages(t *testing.T) {
	file := filepath.Join(t.TempDir(), "shadows.db")
	st := openStationAt(t, file)
	for i := range 7 {
		st.tell(updateTopic("a"), desired("k", i))
		st.tell(updateTopic("b"), desired("k", i))
	}
	bytes := st.Stats().JournalBytes
	st.stop()
	st = openStationAt(t, file)
	if s := st.Stats(); s.JournalBytes != bytes || bytes < 14*100 || bytes > 14*200 {
		t.Errorf("%d bytes, were %d", s.JournalBytes, bytes)
	}
	st.tell(updateTopic("a"), desired("k", 7))
	var versions []int64
	before := int64(0)
	for {
		page, err := st.History(context.Background(), "a", "", 3, before)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			versions = append(versions, e.Version)
		}
		before = page[len(page)-1].ID
	}
	same(t, "versions", fmt.Sprint(versions), "[8 7 6 5 4 3 2 1]")
}

// A row of updates that change nothing is one entry.
func TestHistoryIdle(t *testing.T) {
	st := openStation(t, atNoon)
	st.tell(updateTopic("a"), desired("k", 1))
	for range 500 {
		st.tell(updateTopic("a"), desired("k", 1))
	}
	st.tell(updateTopic("a"), desired("k", 2))
	st.tell(updateTopic("a"), desired("k", 2))
	from := `"source":{"kind":"device","name":"GG_Test"}`
	same(t, "history", st.history("a"), strings.Join([]string{
		`{"version":503,"first":503,` + from + `}`,
		`{"version":502,"first":502,` + from + `,"changes":[{"section":"desired","path":"/k","before":1,"after":2}]}`,
		`{"version":501,"first":2,` + from + `}`,
		`{"version":1,"first":1,` + from + `,"changes":[{"section":"desired","path":"/k","after":1}]}`,
	}, "\n"))
}

// Of each shadow the newest entries stay, and its conflicts a while longer.
func TestHistoryBound(t *testing.T) {
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.Journal = 10 })
	st.tell(updateTopic("quiet"), desired("k", 1))
	conflict := []localshadow.Conflict{{Section: "desired", Path: "/k", Winner: "cloud"}}
	for range 60 {
		st.edit("a", localshadow.Edit{Conflicts: conflict})
	}
	for i := range 500 {
		st.tell(updateTopic("a"), desired("k", i))
	}
	all, err := st.History(context.Background(), "a", "", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var plain, conflicts int
	for _, e := range all {
		if len(e.Conflicts) > 0 {
			conflicts++
		} else {
			plain++
		}
	}
	if plain < 10 || plain > 10+32 || conflicts != 50 || all[0].Version != 500 {
		t.Errorf("%d entries and %d conflicts", plain, conflicts)
	}
	if all, err := st.History(context.Background(), "quiet", "", 0, 0); err != nil || len(all) != 1 {
		t.Errorf("of another shadow: %v, %v", all, err)
	}
	st.checkJournalBytes()
}

// checkJournalBytes compares the figure with the rows.
func (st *station) checkJournalBytes() {
	st.Helper()
	var sum int64
	err := st.DB.View(context.Background(), func(tx *sqlite.Tx) error {
		return tx.QueryRow(`SELECT coalesce(sum(bytes), 0) FROM journal`).Scan(&sum)
	})
	if s := st.Stats(); err != nil || s.JournalBytes != sum {
		st.Errorf("the journal is said to have %d bytes, and has %d (%v)", s.JournalBytes, sum, err)
	}
}

// All journals together have a bound, and the oldest entries go first.
func TestHistoryBytes(t *testing.T) {
	const bound = 20_000
	file := filepath.Join(t.TempDir(), "shadows.db")
	small := func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.JournalBytes = bound }
	st := openStationAt(t, file)
	for i := range 400 {
		st.tell(updateTopic(fmt.Sprint(i%40)), desired("k", i))
	}
	st.stop()
	st = openStationAt(t, file, small) // somebody has lowered it
	if n := st.Stats().JournalBytes; n < 2*bound {
		t.Fatalf("%d bytes", n)
	}
	for i := range 40 {
		st.tell(updateTopic("x"), desired("k", i))
	}
	if n := st.Stats().JournalBytes; n > bound || n < bound*9/10 {
		t.Errorf("%d bytes", n)
	}
	st.checkJournalBytes()
	if all, err := st.History(context.Background(), "39", "", 0, 0); err != nil || len(all) == 0 || all[0].Version != 10 || len(all) > 9 {
		t.Errorf("of a shadow that was last updated before: %v, %v", all, err)
	}
}

// A full database: the journal gives way, and no update is refused for its sake.
func TestHistoryGivesWay(t *testing.T) {
	now := noon
	st := openStation(t, func(db *sqlite.Options, o *localshadow.Options) {
		db.MaxBytes, o.Now = 512<<10, func() time.Time { return now }
	})
	for i := range 300 {
		if got := st.tell(updateTopic(fmt.Sprint(i%5)), desired("k", `"`+strings.Repeat(fmt.Sprint(i%10), 2000)+`"`)); !strings.Contains(got, "update/accepted") {
			t.Fatalf("update %d: %.200s", i, got)
		}
	}
	if f := st.Faults(); len(f) != 1 || !strings.Contains(f[0], "no room for the history of changes") {
		t.Errorf("faults %q", f)
	}
	st.checkJournalBytes()
	if now = now.Add(2 * time.Hour); len(st.Faults()) != 0 {
		t.Errorf("faults of two hours ago: %q", st.Faults())
	}
}

package localshadow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// A group that is undone in the middle runs again from what is on disk, and not from what
// the service remembers of the first time.
func TestUndoneIsForgotten(t *testing.T) {
	st := openStation(t)
	st.tell(updateTopic("a"), desired("k", 1))
	hold, undo := st.hold(), errors.New("undone")
	settled := make(chan error, 3)
	deliver := func(k int) {
		if err := st.Deliver(updateTopic("a"), []byte(desired("k", k)), device, func(err error) { settled <- err }); err != nil {
			t.Fatal(err)
		}
	}
	deliver(2)
	st.DB.Write(func(tx *sqlite.Tx) error { return errors.Join(tx.Exec(`DELETE FROM shadows`), undo) }, func(err error) {
		if !errors.Is(err, undo) {
			t.Errorf("undone with %v", err)
		}
		settled <- nil
	})
	deliver(3)
	close(hold)
	for range 3 {
		if err := <-settled; err != nil {
			t.Error(err)
		}
	}
	st.take()
	if got := st.tell(updateTopic("a"), desired("k", 4)); !strings.Contains(got, `{"previous":{"state":{"desired":{"k":3}},`) || !strings.Contains(got, `"version":4,`) {
		t.Errorf("afterwards: %s", got)
	}
	var versions []int64
	all, err := st.History(context.Background(), "a", "", 0, 0)
	for _, e := range all {
		versions = append(versions, e.Version)
	}
	same(t, "versions", fmt.Sprint(versions, err), "[4 3 2 1] <nil>")
}

// More shadows than are remembered, in any order: each goes on from its own document.
func TestManyHotShadows(t *testing.T) {
	const things, rounds = 400, 10
	st := openStation(t)
	big := fmt.Sprintf(`,"text":"%s"`, strings.Repeat("x", 7000)) // these are 3 MB together
	want := make([]map[string]any, things)
	wait := make(chan error, things)
	g := rand.New(rand.NewPCG(7, 7))
	for round := range rounds {
		for _, i := range g.Perm(things) {
			text := ""
			if i%2 == 0 && round == 0 {
				text = big
			}
			key := fmt.Sprint("k", g.IntN(4))
			payload := fmt.Sprintf(`{"state":{"desired":{"n":%d,"%s":{"%s":%d}%s}}}`, round, key, key, round, text)
			if want[i] == nil {
				want[i] = map[string]any{}
			}
			want[i]["n"], want[i][key] = round, map[string]any{key: round}
			if err := st.Deliver(updateTopic(fmt.Sprint(i)), []byte(payload), device, func(err error) { wait <- err }); err != nil {
				t.Fatal(err)
			}
		}
		for range things {
			if err := <-wait; err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range things {
		d, err := st.Document(context.Background(), fmt.Sprint(i), "")
		if err != nil || d.Version != rounds {
			t.Fatalf("%d: %+v, %v", i, d, err)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(d.Desired), &got); err != nil {
			t.Fatal(err)
		}
		if text, ok := got["text"].(string); (i%2 == 0) != (ok && len(text) == 7000) {
			t.Errorf("%d has a text of %d bytes", i, len(text))
		}
		delete(got, "text")
		if g, w := fmt.Sprint(got), fmt.Sprint(want[i]); g != w {
			t.Errorf("%d has %s, want %s", i, g, w)
		}
	}
}

// An update is merged before its turn, into the document of that moment: if that is
// another one when its turn comes, it is merged anew.
func TestMergedAheadOfItsTurn(t *testing.T) {
	st := openStation(t)
	st.tell(updateTopic("a"), desired("first", 1))
	hold := st.hold()
	edited := make(chan error, 1)
	st.Transact("a", "", func(*sqlite.Tx, localshadow.Document) (localshadow.Edit, error) {
		return localshadow.Edit{Patch: desired("second", 2), Source: cloud}, nil
	}, func(_ localshadow.Change, _ bool, err error) { edited <- err })
	settled := make(chan error, 1)
	if err := st.Deliver(updateTopic("a"), []byte(desired("third", 3)), device, func(err error) { settled <- err }); err != nil {
		t.Fatal(err)
	}
	close(hold)
	if err := errors.Join(<-edited, <-settled); err != nil {
		t.Fatal(err)
	}
	st.take()
	if got := st.tell(updateTopic("a"), desired("fourth", 4)); !strings.Contains(got, `{"desired":{"first":1,"second":2,"third":3,"fourth":4}}`) {
		t.Errorf("afterwards: %s", got)
	}
}

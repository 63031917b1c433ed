package localshadow_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// like tells whether two documents have the same values.
func like(t *testing.T, a, b localshadow.State) bool {
	t.Helper()
	read := func(s string) any {
		if s == "" {
			return nil
		}
		v, refused := (&model{depth: 100}).decode(s)
		if refused != nil {
			t.Fatalf("%s: %v", s, refused)
		}
		return v
	}
	return alike(read(a.Desired), read(b.Desired)) && alike(read(a.Reported), read(b.Reported))
}

// Random sequences: At gives each document that there was, and a Revert brings it back.
func TestAt(t *testing.T) {
	now := noon
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Now = func() time.Time { return now } })
	ctx := context.Background()
	for i := range 100 {
		g := &generator{rand.New(rand.NewPCG(2, uint64(i)))}
		p, thing := newPair(), fmt.Sprint("thing", i)
		was := map[int64]localshadow.State{}
		var log []string
		for range 25 {
			step := g.step(p)
			now = now.Add([]time.Duration{0, time.Minute, 47 * time.Hour, 49 * time.Hour}[g.IntN(4)])
			p.now = now.Unix()
			op, payload, _ := strings.Cut(step, " ")
			if fault := p.do(op, payload); fault != "" {
				t.Fatal(fault)
			}
			log = append(log, step)
			st.tell("$aws/things/"+thing+"/shadow/"+op, payload)
			if p.doc.Exists() {
				was[p.doc.Version] = localshadow.State{Desired: p.doc.Desired, Reported: p.doc.Reported}
			}
		}
		for version, want := range was {
			got, err := st.At(ctx, thing, "", version)
			if version > p.doc.Version && errors.Is(err, localshadow.ErrNoVersion) {
				continue // of a shadow that was deleted, and forgotten
			}
			if err != nil || !like(t, got, want) {
				t.Fatalf("sequence %d: version %d was %+v, At gives %+v, %v\n%s", i, version, want, got, err, strings.Join(log, "\n"))
			}
		}
		for version, want := range was {
			if version > p.doc.Version {
				continue
			}
			if _, err := st.Revert(ctx, thing, "", version, localshadow.Desired|localshadow.Reported, device); err != nil {
				t.Fatalf("sequence %d: revert to %d: %v", i, version, err)
			}
			d, err := st.Document(ctx, thing, "")
			if got := (localshadow.State{Desired: d.Desired, Reported: d.Reported}); err != nil || !like(t, got, want) {
				t.Fatalf("sequence %d: version %d was %+v, reverted to %+v, %v", i, version, want, got, err)
			}
			break // after it, numbers of a shadow that was deleted for long may stand for others
		}
	}
	st.checkJournalBytes()
}

// A Revert is an update: a new version that is published, of the sections asked for.
func TestRevert(t *testing.T) {
	st := openStation(t)
	ctx, operator := context.Background(), localshadow.Source{Kind: "operator"}
	st.tell(updateTopic("a"), `{"state":{"desired":{"k":1,"o":{"p":1}},"reported":{"k":1}}}`)
	st.tell(updateTopic("a"), `{"state":{"desired":{"k":2,"o":{"p":null,"q":[1]}},"reported":{"k":2}}}`)
	var told localshadow.Change
	st.Watch(func(c localshadow.Change) { told = c })
	got, err := st.Revert(ctx, "a", "", 1, localshadow.Desired, operator)
	if err != nil || !strings.HasPrefix(string(got), `{"state":{"desired":{"k":1,"o":{"p":1,"q":null}}},"metadata"`) || number(t, string(got), "version") != 3 {
		t.Errorf("accepted %s, %v", got, err)
	}
	if p := st.published(); p != "update/delta update/documents update/accepted" {
		t.Errorf("published %s", p)
	}
	if want := (localshadow.State{Desired: `{"k":1,"o":{"p":1}}`, Reported: `{"k":2}`}); told.Current != want || told.Source != operator {
		t.Errorf("told %+v", told)
	}
	if _, err = st.Revert(ctx, "a", "", 3, localshadow.Desired, operator); err != nil || told.Version != 4 {
		t.Errorf("to what it is already: %v, version %d", err, told.Version)
	}
	st.tell("$aws/things/a/shadow/delete", "")
	if _, err = st.Revert(ctx, "a", "", 2, localshadow.Desired|localshadow.Reported, operator); err != nil {
		t.Error(err)
	}
	if want := (localshadow.State{Desired: `{"k":2,"o":{"q":[1]}}`, Reported: `{"k":2}`}); told.Current != want || told.Version != 5 {
		t.Errorf("brought back %+v", told)
	}
	all, err := st.History(ctx, "a", "", 1, 0)
	if err != nil || len(all) != 1 || all[0].Source != operator || len(all[0].Changes) != 3 {
		t.Errorf("history %+v, %v", all, err)
	}
}

// What the journal cannot tell is no guess.
func TestTooOld(t *testing.T) {
	st := openStation(t, func(_ *sqlite.Options, o *localshadow.Options) { o.Bounds.Journal = 10 })
	for i := range 64 {
		st.tell(updateTopic("a"), desired("k", i+1))
	}
	at := func(version int64) string {
		s, err := st.At(context.Background(), "a", "", version)
		if _, err2 := st.Revert(context.Background(), "a", "$none", version, localshadow.Desired, device); !errors.Is(err2, localshadow.ErrNoVersion) {
			t.Errorf("revert of no shadow: %v", err2)
		}
		return fmt.Sprint(s.Desired, " ", err)
	}
	for version, want := range map[int64]string{
		64: `{"k":64} <nil>`, 55: `{"k":55} <nil>`, 1: " " + localshadow.ErrTooOld.Error(),
		65: " " + localshadow.ErrNoVersion.Error(), 0: " " + localshadow.ErrNoVersion.Error(), -1: " " + localshadow.ErrNoVersion.Error(),
	} {
		same(t, fmt.Sprint("version ", version), at(version), want)
	}
	// An entry that is missing in the middle.
	if err := st.DB.Update(context.Background(), func(tx *sqlite.Tx) error { return tx.Exec(`DELETE FROM journal WHERE version = 60`) }); err != nil {
		t.Fatal(err)
	}
	same(t, "before a gap", at(58), " "+localshadow.ErrTooOld.Error())
	same(t, "behind a gap", at(60), `{"k":60} <nil>`)
	for _, damage := range []string{`'['`, `'[[]]'`, `'[["desired","/x",null,1]]'`, `'[["desired","/k/l",1,2]]'`, `'[["desired","",5,null]]'`} {
		if err := st.DB.Update(context.Background(), func(tx *sqlite.Tx) error {
			return tx.Exec(`UPDATE journal SET changes = ` + damage + ` WHERE version = 63`)
		}); err != nil {
			t.Fatal(err)
		}
		same(t, damage, at(62), " "+localshadow.ErrDamaged.Error())
		if all, err := st.History(context.Background(), "a", "", 3, 0); err != nil || len(all) != 3 || all[0].Damaged || all[1].Damaged != (len(damage) <= len(`'[[]]'`)) {
			t.Errorf("%s: history %+v, %v", damage, all, err)
		}
	}
}

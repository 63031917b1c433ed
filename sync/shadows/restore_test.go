package shadows_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
	"greengate/sync/cloud/cloudtest"
	"greengate/sync/shadows"
)

// backup copies the database as the command does.
func (s *site) backup() (file string) {
	s.Helper()
	file = filepath.Join(s.folder, "backup.db")
	if err := s.db.Copy(context.Background(), file); err != nil {
		s.Fatal(err)
	}
	return file
}

// restore starts a process on a backup; the old one is gone.
func (s *site) restore(file string) {
	s.Helper()
	s.gone.Store(true)
	s.cloud.Cut(core, true)
	synctest.Wait()
	s.gateway.stop()
	s.boots++
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(s.database()), 0o700)
	}
	if err == nil {
		err = os.WriteFile(s.database(), text, 0o600)
	}
	if err != nil {
		s.Fatal(err)
	}
	db, err := sqlite.Open(sqlite.Options{File: s.database(), Migrations: localshadow.Migrations(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	err = db.Update(ctx, localshadow.MendCopy)
	cancel()
	if err := errors.Join(err, <-ended); err != nil {
		s.Fatal(err)
	}
	<-time.After(time.Second)
	s.boot()
}

// A restored gateway takes what the cloud has, and brings nothing back that went since.
func TestRestore(t *testing.T) {
	for _, away := range []time.Duration{time.Hour, 30 * 24 * time.Hour} {
		inSite(t, cloudtest.Options{}, manyThings(6), func(s *site) {
			const both = `{"desired":{"mode":"auto","target":20},"reported":{"power":"off"}}`
			s.change("cloud", "T0", "", both)
			s.change("local", "T0", "night", both)
			s.change("cloud", "T1", "", both)
			s.change("local", "T2", "", both)
			s.change("local", "T3", "", both)
			s.change("local", "T4", "", both)
			s.rests(time.Minute)
			file := s.backup()

			s.change("local", "T0", "", `{"desired":{"mode":null}}`) // goes on both sides
			s.remove("local", "T0", "night")                         // deleted on both
			s.remove("cloud", "T1", "")                              // likewise
			s.change("local", "T2", "", `{"desired":{"target":25},"reported":{"power":"on"}}`)
			s.change("local", "T5", "late", both) // new since
			s.rests(time.Minute)
			s.remove("local", "T3", "")
			s.rests(time.Minute)
			<-time.After(away)
			s.change("local", "T3", "", `{"reported":{"power":"on"}}`) // made again
			s.rests(time.Minute)
			s.away()
			s.change("cloud", "T2", "", `{"desired":{"target":26}}`)
			s.remove("cloud", "T4", "") // unseen by the gateway
			writes := s.writes.Load()

			want := map[key]state{}
			for _, k := range []key{{"T0", ""}, {"T0", "night"}, {"T1", ""}, {"T2", ""}, {"T3", ""}, {"T4", ""}, {"T5", "late"}} {
				want[k], _ = s.cloudHas(k.thing, k.name)
			}
			versions := map[key]int64{}
			for k := range want {
				_, versions[k] = s.localHas(k.thing, k.name)
			}
			s.restore(file)
			s.back()
			s.rests(time.Minute)
			for k, w := range want {
				local, version := s.localHas(k.thing, k.name)
				cloud, _ := s.cloudHas(k.thing, k.name)
				if !sameState(local, w) || !sameState(cloud, w) {
					t.Errorf("%v: local %v, cloud %v, want %v", k, local, cloud, w)
				}
				if k.name != "late" && version < versions[k] {
					t.Errorf("%v: version %d, was %d", k, version, versions[k])
				}
			}
			if n := s.writes.Load() - writes; n != 0 {
				t.Errorf("%d writes to the cloud: %v", n, &s.requests)
			}
		})
	}
}

// What the gateway had not sent when the backup was made goes up, unless the cloud has
// another value by now.
func TestRestoreOfUnsent(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(4), func(s *site) {
		const both = `{"desired":{"mode":"auto","target":20}}`
		for _, thing := range []string{"T0", "T1", "T2", "T3"} {
			s.change("cloud", thing, "", both)
		}
		s.rests(time.Minute)
		s.away()
		s.change("local", "T0", "", `{"desired":{"target":21}}`)
		s.change("local", "T1", "", `{"desired":{"target":21}}`)
		s.remove("local", "T2", "")
		s.remove("local", "T3", "")
		<-time.After(time.Second)
		file := s.backup()
		s.change("cloud", "T1", "", `{"desired":{"target":22}}`)
		s.change("cloud", "T3", "", `{"desired":{"target":22}}`)
		s.restore(file)
		s.back()
		s.rests(time.Minute)
		for thing, want := range map[string]state{
			"T0": {"desired": object{"mode": "auto", "target": 21.0}}, "T1": {"desired": object{"mode": "auto", "target": 22.0}},
			"T2": nil, "T3": {"desired": object{"mode": "auto", "target": 22.0}},
		} {
			l, _ := s.localHas(thing, "")
			c, _ := s.cloudHas(thing, "")
			if l.String() != want.String() || c.String() != want.String() {
				t.Errorf("%s: local %v, cloud %v, want %v", thing, l, c, want)
			}
		}
	})
}

// A deletion while the thing is not in sync is not undone when it is again.
func TestDeletedWhileLocal(t *testing.T) {
	inSite(t, cloudtest.Options{}, manyThings(2), func(s *site) {
		for _, thing := range []string{"T0", "T1"} {
			s.change("cloud", thing, "", `{"desired":{"a":1}}`)
		}
		s.rests(time.Minute)
		s.things = map[string]shadows.Direction{"T1": shadows.Both}
		s.rec.Refresh()
		<-time.After(time.Second)
		s.remove("local", "T0", "")
		<-time.After(49 * time.Hour)
		s.remove("local", "T1", "") // the time to forget
		s.things = manyThings(2)
		s.rec.Refresh()
		s.rests(time.Minute)
		for _, thing := range []string{"T0", "T1"} {
			l, _ := s.localHas(thing, "")
			c, _ := s.cloudHas(thing, "")
			if l != nil || c != nil {
				t.Errorf("%s: local %v, cloud %v", thing, l, c)
			}
		}
	})
}

package telemetry

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"

	"greengate/core/message"
	"greengate/core/sqlite"
)

// heavy is a message of a few bytes with many properties.
func heavy() *message.Message {
	return &message.Message{
		Source: message.DeviceEndpoint("d"), Topic: "t", Payload: []byte("x"),
		Properties: &message.Properties{User: make([]message.UserProperty, 5000)}, // 22 bytes each, as they are kept
	}
}

// Properties count for what a message takes in memory, also where it has hardly any payload.
func TestPropertiesAreBounded(t *testing.T) {
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(t.TempDir(), "spool.db"), Migrations: Migrations()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := New(Options{DB: db, MaxSize: 64 << 20, BootID: "b", Bounds: Bounds{StagedBytes: 1 << 20}, Settled: func(Settlement) {}})
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for ; err == nil; taken++ { // nothing is written yet
		err = s.Put(heavy(), Route{Key: "r"}, func(error) {})
	}
	if !errors.Is(err, ErrBehind) || taken < 5 || taken > 12 {
		t.Errorf("%d messages of 110 KB are in 1 MiB: %v", taken-1, err)
	}
	if batch := s.intake.take(); len(batch) != taken-1 {
		t.Errorf("%d taken", len(batch))
	} else if s.intake.settle(batch); s.intake.bytes != 0 {
		t.Errorf("%d bytes are left", s.intake.bytes)
	}
}

// A read-ahead of such messages is full before it has as many as of others.
func TestReadAheadIsBounded(t *testing.T) {
	properties, err := json.Marshal(heavy().Properties)
	if err != nil {
		t.Fatal(err)
	}
	var items []*item
	for range 500 {
		r := newRow("device:d", "t", properties, []byte("x"), head{route: 1})
		items = append(items, newItem(1, 0, r.bytes[:r.body], r.bytes[r.body:]))
	}
	for n, want := range map[int]bool{100: false, 200: true} {
		if got := filled(items[:n], 256); got != want {
			t.Errorf("%d of them: %v", n, got)
		}
	}
}

// What waits for its row to leave does not keep its payload in memory: there may be many,
// and large ones, when a long time offline ends and the cloud takes none of them.
func TestWhatLeavesIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlite.Open(sqlite.Options{File: filepath.Join(t.TempDir(), "spool.db"), Migrations: Migrations()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		s, err := New(Options{DB: db, MaxSize: 64 << 20, BootID: "b", Settled: func(Settlement) {}})
		if err != nil {
			t.Fatal(err)
		}
		r := newRow("device:d", "t", []byte("{}"), make([]byte, 1000), head{route: 1})
		it := newItem(7, 1, r.bytes[:r.body], r.bytes[r.body:])
		s.mu.Lock()
		defer s.mu.Unlock()
		it.route = s.routeByID(1)
		s.up.give(it, Quarantined, ReasonQuarantine, "too large")
		if it.payload != nil || it.properties != nil || !it.gone {
			t.Errorf("in hand is still %+v", it)
		}
		if n := s.leaving.rows; len(n) != 1 || n[0].size != 1001 || n[0].seq != 7 {
			t.Errorf("leaving %+v", n)
		}
	})
}

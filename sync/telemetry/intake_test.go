package telemetry_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// stored is called in order, and many messages of one device share a commit.
func TestStoredInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		r.flushed()
		before := r.db.Stats().Commits
		var mu sync.Mutex
		var order []int
		for i := range 5000 {
			m := message.Message{Source: message.DeviceEndpoint("d"), Topic: "t", Payload: []byte("x"), QoS: 1}
			err := r.spool.Put(&m, telemetry.Route{Key: "row"}, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		r.flushed()
		if len(order) != 5000 || !slices.IsSorted(order) {
			t.Errorf("%d of 5000 stored, in order: %v", len(order), slices.IsSorted(order))
		}
		if n := r.db.Stats().Commits - before; n > 500 {
			t.Errorf("%d commits for 5000 messages", n)
		}
	})
}

// The sender's buffers are its own again when Put returns; properties and retain come
// through.
func TestPutKeeps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		payload := []byte("payload")
		m := message.Message{
			Source: message.Endpoint{Kind: message.Function, Name: "f"}, Topic: "t", Payload: payload, Retain: true,
			Properties: &message.Properties{
				ContentType: "text/plain", CorrelationData: []byte{0, 255},
				User: []message.UserProperty{{Name: "own", Value: "1"}, {Name: "own", Value: "2"}},
			},
		}
		r.putMessage(&m, telemetry.Route{})
		copy(payload, "another")
		r.flushed()
		r.restart()
		r.link.connect()
		r.drained()
		p := r.link.got()[0]
		if string(p.Payload) != "payload" || !p.Retain || p.QoS != 1 || property(p, "gg-source") != "function:f" {
			t.Errorf("came %+v", p)
		}
		q := p.Properties
		if q.ContentType != "text/plain" || string(q.CorrelationData) != "\x00\xff" || len(q.User) < 3 || q.User[1].Value != "2" {
			t.Errorf("came with %+v", q)
		}
	})
}

// Expiry of the publisher counts.
func TestPublisherExpiry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		m := message.Message{Source: message.DeviceEndpoint("d"), Topic: "t", Payload: []byte("x"), Expires: time.Now().Add(3 * time.Second)}
		r.putMessage(&m, telemetry.Route{TTL: time.Hour})
		r.flushed()
		time.Sleep(2 * time.Second)
		if st := r.spool.Stats(); st.Messages != 1 {
			t.Fatal("it expired too soon")
		}
		time.Sleep(2 * time.Second)
		r.link.connect()
		r.drained()
		if len(r.link.got()) != 0 {
			t.Error("it was sent when its time had run out")
		}
	})
}

// A disk that takes nothing holds acknowledgements back: messages wait in memory, up to
// a bound, and nobody is told that they are safe. Nothing is told twice at the end.
func TestDiskFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "spool.db")
		db, err := sqlite.Open(sqlite.Options{File: file, Migrations: telemetry.Migrations(), MaxBytes: 256 << 10})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var stored, failed, settled int
		s, err := telemetry.New(telemetry.Options{
			DB: db, Link: newLink(t), MaxSize: 64 << 20, BootID: "b",
			Bounds:  telemetry.Bounds{StagedBytes: 1 << 20},
			Settled: func(telemetry.Settlement) { mu.Lock(); settled++; mu.Unlock() },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		dbCtx, cancelDB := context.WithCancel(context.Background())
		ended, dbEnded := make(chan error, 1), make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		go func() { dbEnded <- db.Run(dbCtx) }()
		var refusal error
		puts := 0
		for ; refusal == nil && puts < 10000; puts++ {
			m := message.Message{Source: message.DeviceEndpoint("d"), Topic: "t", Payload: []byte(strings.Repeat("x", 1000))}
			refusal = s.Put(&m, telemetry.Route{Key: "r"}, func(err error) {
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed++
				} else {
					stored++
				}
			})
			time.Sleep(time.Millisecond)
		}
		if !errors.Is(refusal, telemetry.ErrBehind) {
			t.Errorf("after %d messages Put says %v", puts, refusal)
		}
		if stored < 50 || stored > 300 {
			t.Errorf("%d are said to be stored in 256 KiB", stored)
		}
		if !contains(s.Faults(), "cannot write") || !contains(s.Faults(), "turned away") {
			t.Errorf("faults are %q", s.Faults())
		}
		start := time.Now()
		cancel()
		<-ended
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("the end took %v", d)
		}
		cancelDB()
		<-dbEnded
		if stored+failed != puts-1 {
			t.Errorf("%d stored and %d failed of %d", stored, failed, puts-1)
		}
		m := message.Message{Source: message.DeviceEndpoint("d"), Topic: "t"}
		if err := s.Put(&m, telemetry.Route{Key: "r"}, nil); !errors.Is(err, telemetry.ErrStopped) {
			t.Errorf("after the end Put says %v", err)
		}
	})
}

// What was taken before the end is on the disk after it, however fast it comes.
func TestStopFlushes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		for i := range 2000 {
			r.put("d", "t", strconv.Itoa(i), telemetry.Route{})
		}
		r.restart()
		if n := r.spool.Content()["row"]; n != 2000 {
			t.Errorf("%d of 2000 are there after the restart", n)
		}
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"d t": 2000})
	})
}

func TestBadRoutes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{})
		for _, route := range []telemetry.Route{
			{WhenFull: telemetry.Thin, Keep: 1}, {LiveShare: 2}, {LiveShare: -1}, {TTL: -1}, {Priority: 9},
		} {
			m := message.Message{Source: message.DeviceEndpoint("d"), Topic: "t"}
			if err := r.spool.Put(&m, route, func(error) {}); err == nil {
				t.Errorf("%+v is taken", route)
			}
		}
		if _, err := telemetry.ParsePriority("urgent"); err == nil {
			t.Error("a priority urgent is taken")
		}
		if w, err := telemetry.ParseWhenFull("thin"); err != nil || w != telemetry.Thin {
			t.Errorf("thin is %v, %v", w, err)
		}
	})
}

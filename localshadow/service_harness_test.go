package localshadow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// station is a service on a database of its own, with all that it sends.
type station struct {
	testing.TB
	*localshadow.Service
	DB   *sqlite.DB
	file string
	stop func()

	mu   sync.Mutex
	sent []sent
}

// device is whom the updates of the tests are from.
var device = localshadow.Source{Kind: "device", Name: "GG_Test"}

type sent struct{ topic, payload string }

// setup changes what a station is made of.
type setup func(*sqlite.Options, *localshadow.Options)

func openStation(t testing.TB, changes ...setup) *station {
	return openStationAt(t, filepath.Join(t.TempDir(), "shadows.db"), changes...)
}

func openStationAt(t testing.TB, file string, changes ...setup) *station {
	t.Helper()
	st := &station{TB: t, file: file}
	dbo := sqlite.Options{File: file, Migrations: localshadow.Migrations(), Log: slog.New(slog.DiscardHandler), Queue: 4096}
	o := localshadow.Options{
		Log: slog.New(slog.DiscardHandler),
		Publish: func(topic string, payload []byte) {
			st.mu.Lock()
			defer st.mu.Unlock()
			st.sent = append(st.sent, sent{topic, string(payload)})
		},
	}
	for _, c := range changes {
		c(&dbo, &o)
	}
	var err error
	if st.DB, err = sqlite.Open(dbo); err != nil {
		t.Fatal(err)
	}
	o.DB = st.DB
	if st.Service, err = localshadow.New(o); err != nil {
		t.Fatal(err)
	}
	stopDB := run(t, st.DB.Run)
	stopService := run(t, st.Service.Run) // its end comes first
	st.stop = func() { stopService(); stopDB() }
	return st
}

// run runs f until it is stopped, at the end of the test at the latest.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

// deliver sends a message and waits until it is settled.
func (st *station) deliver(topic, payload string) error {
	st.Helper()
	settled := make(chan error, 1)
	if err := st.Deliver(topic, []byte(payload), device, func(err error) { settled <- err }); err != nil {
		return err
	}
	select {
	case err := <-settled:
		return err
	case <-time.After(20 * time.Second):
		st.Fatal("the request is not settled")
		return nil
	}
}

// hold stops the writer until the channel is closed, so that a group gathers.
func (st *station) hold() chan struct{} {
	hold, held := make(chan struct{}), make(chan struct{})
	st.DB.Write(func(*sqlite.Tx) error {
		close(held)
		<-hold
		return nil
	}, func(error) {})
	<-held
	return hold
}

// damage changes the tables behind the back of the service, which remembers what it has
// read until something is undone.
func (st *station) damage(sql string) {
	st.Helper()
	ctx, undo := context.Background(), errors.New("undone")
	if err := st.DB.Update(ctx, func(tx *sqlite.Tx) error { return tx.Exec(sql) }); err != nil {
		st.Fatal(err)
	}
	if err := st.DB.Update(ctx, func(tx *sqlite.Tx) error { return errors.Join(tx.Exec(sql), undo) }); !errors.Is(err, undo) {
		st.Fatal(err)
	}
}

// take returns what was sent since the last time.
func (st *station) take() []sent {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := st.sent
	st.sent = nil
	return all
}

// tell delivers a message and returns what was sent for it: for each message
// the end of its topic, a space and the payload.
func (st *station) tell(topic, payload string) string {
	st.Helper()
	if err := st.deliver(topic, payload); err != nil {
		st.Errorf("%s is settled with %v", topic, err)
	}
	base, _, _ := strings.Cut(topic, "/shadow/")
	var lines []string
	for _, m := range st.take() {
		lines = append(lines, strings.TrimPrefix(m.topic, base+"/shadow/")+" "+m.payload)
	}
	return strings.Join(lines, "\n")
}

func updateTopic(thing string) string { return "$aws/things/" + thing + "/shadow/update" }

// number returns a field of a JSON document.
func number(t testing.TB, payload, field string) int64 {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	n, ok := m[field].(float64)
	if !ok {
		t.Fatalf("%s has no %s", payload, field)
	}
	return int64(n)
}

func desired(key string, value any) string {
	return fmt.Sprintf(`{"state":{"desired":{"%s":%v}}}`, key, value)
}

package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
	"greengate/sync/telemetry"
)

// marker is in all that must not be read on a stolen card.
const marker = "Xq7-tell-nobody"

// newKey writes a key that looks drawn, and returns its file.
func newKey(t *testing.T, seed byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), fmt.Sprint("key", seed))
	writeKey(t, file, seed)
	return file
}

func writeKey(t *testing.T, file string, seed byte) {
	t.Helper()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)*151 + seed
	}
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
}

// tells lists the files beside the database that have the marker in them.
func (r *rig) tells() (files []string) {
	r.t.Helper()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(r.file), "*"))
	if err != nil || len(all) == 0 {
		r.t.Fatalf("the files are %v, %v", all, err)
	}
	for _, file := range all {
		data, err := os.ReadFile(file)
		if err != nil {
			r.t.Fatal(err)
		}
		if bytes.Contains(data, []byte(marker)) {
			files = append(files, filepath.Base(file))
		}
	}
	return files
}

// silent checks that no file has the marker in it.
func (r *rig) silent(when string) {
	r.t.Helper()
	if files := r.tells(); len(files) > 0 {
		r.t.Errorf("%s the marker is in %v", when, files)
	}
}

// secrets spools messages with the marker wherever a publisher can put it.
func (r *rig) secrets(from, to int, route telemetry.Route) {
	r.t.Helper()
	for i := from; i < to; i++ {
		r.putMessage(&message.Message{
			Source: message.DeviceEndpoint("d-" + marker), Topic: "t/" + marker, Payload: []byte(strconv.Itoa(i)),
			Properties: &message.Properties{ContentType: marker, User: []message.UserProperty{{Name: marker, Value: marker}}},
		}, route)
		r.put("d", "u", marker+strconv.Itoa(i), route)
	}
	r.flushed()
}

// Nothing of a message is on the disk in clear, at no time, and all of it arrives.
func TestSealedSpool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, telemetry.Options{Encrypt: newKey(t, 1)})
		r.link.check = func(topic string, _ int) error {
			if strings.HasPrefix(topic, "bad") {
				return fmt.Errorf("the topic %q is too deep", topic) // as a link says it
			}
			return nil
		}
		r.secrets(0, 150, telemetry.Route{})
		r.put("d", "bad/"+marker, marker, telemetry.Route{})
		r.flushed()
		r.silent("while messages wait")
		if err := r.db.Copy(context.Background(), r.file+".copy"); err != nil {
			t.Fatal(err)
		}
		r.silent("after a copy")
		r.restart()
		r.silent("after a restart")
		records, err := r.spool.List(context.Background(), 1000)
		if err != nil || len(records) != 301 || records[0].Topic != "t/"+marker || records[0].Properties.ContentType != marker ||
			string(records[1].Payload) != marker+"0" || records[1].Bytes != len(marker)+1 || records[1].Locked != "" {
			t.Errorf("listed %d, %+v, %v", len(records), records[:2], err)
		}
		if st := r.spool.Stats(); st.Messages != 301 || st.Unreadable != 0 || len(r.spool.Faults()) != 0 {
			t.Errorf("stats %+v, faults %q", st, r.spool.Faults())
		}
		r.link.connect()
		r.drained()
		for i, p := range r.link.got() {
			want := marker + strconv.Itoa(i/2)
			if i%2 == 0 {
				want = strconv.Itoa(i / 2)
				if p.Properties.ContentType != marker || property(p, marker) != marker || property(p, "gg-source") != "d-"+marker {
					t.Fatalf("came %+v", p.Properties)
				}
			}
			if string(p.Payload) != want {
				t.Fatalf("%d: came %s, want %s", i, p.Payload, want)
			}
		}
		// What goes to quarantine says nothing, nor does the reason, and can be put back.
		r.silent("with one in quarantine")
		r.restart()
		if got := r.quarantined(); len(got) != 1 || !strings.HasPrefix(got[0], "bad/"+marker+": the topic \"bad/"+marker) {
			t.Errorf("in quarantine are %q", got)
		}
		r.link.check = nil
		n, err := r.spool.Requeue(context.Background(), func(telemetry.Record) (telemetry.Route, bool) { return telemetry.Route{Key: "row"}, true })
		if n != 1 || err != nil {
			t.Errorf("%d put back, %v", n, err)
		}
		r.silent("with one put back")
		r.link.connect()
		r.wait("end", func() bool { return r.spool.Stats().Messages == 0 })
		if got := r.link.got(); got[len(got)-1].Topic != "bad/"+marker || string(got[len(got)-1].Payload) != marker {
			t.Errorf("at last came %s", got[len(got)-1].Topic)
		}
		r.stop()
		r.silent("at the end")
	})
}

// What was written before the spool was encrypted leaves, and what was encrypted before it
// was written in clear needs its key, and waits for it.
func TestSwitchedOnAndOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		key := newKey(t, 1)
		r := newRig(t, telemetry.Options{})
		r.number("d", "t", 0, 10, telemetry.Route{})
		r.o.Encrypt = key
		r.restart()
		r.number("d", "t", 10, 20, telemetry.Route{})
		r.o.Encrypt = ""
		r.restart()
		r.number("e", "t", 0, 10, telemetry.Route{})
		if st := r.spool.Stats(); st.Messages != 30 || st.Unreadable != 10 {
			t.Errorf("stats %+v", st)
		}
		if text := r.spool.Unreadable(); !strings.HasPrefix(text, "10 messages cannot be read, and wait: they are encrypted with the key ") ||
			!strings.Contains(text, "cloud.spool names no key") || !strings.Contains(text, "cloud.spool.decrypt") || !contains(r.spool.Faults(), text) {
			t.Errorf("said %q, faults %q", text, r.spool.Faults())
		}
		r.link.connect()
		r.wait("rest", func() bool { return r.spool.Stats().Messages == 10 })
		r.wantOrder(map[string]int{"d t": 10, "e t": 10})
		locked, err := r.spool.List(context.Background(), 100)
		if err != nil || len(locked) != 10 || locked[0].Locked == "" || locked[0].Topic != "" || locked[0].Bytes != 3 || locked[0].Route != "row" {
			t.Errorf("left are %+v, %v", locked, err)
		}
		r.o.Decrypt = []string{key}
		r.restart()
		if st := r.spool.Stats(); st.Unreadable != 0 || len(r.spool.Faults()) != 0 {
			t.Errorf("with the key: stats %+v, faults %q", st, r.spool.Faults())
		}
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"d t": 20, "e t": 10})
	})
}

// A wrong key loses nothing and holds nothing up: what it does not open waits for the right
// one, however much that is, and what comes meanwhile goes.
func TestWrongKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		right, wrong := newKey(t, 1), newKey(t, 2)
		r := newRig(t, telemetry.Options{Encrypt: right})
		r.number("d", "t", 0, 1500, telemetry.Route{LiveShare: 0.5})
		r.o.Encrypt = wrong
		r.restart()
		r.number("e", "t", 0, 300, telemetry.Route{Key: "other"})
		if st := r.spool.Stats(); st.Messages != 1800 || st.Unreadable != 1500 || !contains(r.spool.Faults(), "1500 messages cannot be read") {
			t.Errorf("stats %+v, faults %q", st, r.spool.Faults())
		}
		start := time.Now()
		r.link.connect()
		r.wait("rest", func() bool { return r.spool.Stats().Messages == 1500 })
		if d := time.Since(start); d > 10*time.Second { // of virtual time
			t.Errorf("what can be read was held up for %v", d)
		}
		r.link.cut()
		r.link.connect() // all of it is read anew
		r.number("e", "t", 300, 310, telemetry.Route{Key: "other"})
		r.wait("rest again", func() bool { _, settled := r.counts(); return settled == 310 })
		if s := r.settlements(); s["sent"] != 310 || len(s) != 1 {
			t.Errorf("settled %v", s)
		}
		if st := r.spool.Stats(); st.Unreadable != 1500 || st.Forecast.DrainedIn != 0 {
			t.Errorf("stats %+v", st)
		}
		r.o.Encrypt, r.o.Decrypt = right, []string{wrong}
		r.restart()
		r.link.connect()
		r.drained()
		r.wantOrder(map[string]int{"d t": 1500, "e t": 310})
	})
}

// Without its key a spool takes nothing, says so, and goes on when the key is there; so it
// is with a key for reading.
func TestMissingKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		key, old := newKey(t, 1), newKey(t, 2)
		r := newRig(t, telemetry.Options{Encrypt: old})
		r.number("d", "t", 0, 10, telemetry.Route{})
		for _, file := range []string{key, old} {
			if err := os.Rename(file, file+".away"); err != nil {
				t.Fatal(err)
			}
		}
		r.o.Encrypt, r.o.Decrypt = key, []string{old}
		r.restart()
		put := func() error {
			m := message.Message{Source: message.DeviceEndpoint("d"), Topic: "t", Payload: []byte("x")}
			return r.spool.Put(&m, telemetry.Route{Key: "row"}, func(error) { t.Error("it was taken") })
		}
		requeue := func() error {
			_, err := r.spool.Requeue(context.Background(), func(telemetry.Record) (telemetry.Route, bool) { return telemetry.Route{}, true })
			return err
		}
		if err := put(); !errors.Is(err, telemetry.ErrNoKey) || !errors.Is(requeue(), telemetry.ErrNoKey) || !r.spool.Lacking() {
			t.Errorf("without a key: %v, %v", err, requeue())
		}
		if !contains(r.spool.Faults(), "messages to the cloud are refused") || !contains(r.spool.Faults(), key) || r.spool.Stats().Unreadable != 10 {
			t.Errorf("faults %q, stats %+v", r.spool.Faults(), r.spool.Stats())
		}
		r.link.connect()
		// A file that is no key is none; then it is there.
		if err := os.WriteFile(key, []byte("too short"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.wait("other reason", func() bool { return contains(r.spool.Faults(), "has 6 bytes of key, and needs 32") })
		if err := os.Rename(key+".away", key); err != nil {
			t.Fatal(err)
		}
		r.wait("key", func() bool { return !r.spool.Lacking() })
		if contains(r.spool.Faults(), "refused") || r.spool.Stats().Messages != 10 {
			t.Errorf("faults %q, stats %+v", r.spool.Faults(), r.spool.Stats())
		}
		r.secrets(0, 10, telemetry.Route{})
		r.silent("with the key that came late")
		if err := os.Rename(old+".away", old); err != nil {
			t.Fatal(err)
		}
		r.wait("old messages", func() bool { return r.spool.Stats().Messages == 0 })
		if got := fmt.Sprint(r.link.payloads()); !strings.Contains(got, "0 1 2 3 4 5 6 7 8 9]") { // behind what came later
			t.Errorf("came %s", got)
		}
		if len(r.spool.Faults()) != 0 || r.spool.Stats().Unreadable != 0 {
			t.Errorf("faults %q, stats %+v", r.spool.Faults(), r.spool.Stats())
		}
		r.drained()
	})
}

package telemetry_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/message"
	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// rig is a spool on a real database with a stand-in for the cloud.
type rig struct {
	t        testing.TB
	o        telemetry.Options
	link     *link
	file     string
	maxBytes int64 // of the database, as a small disk
	db       *sqlite.DB
	spool    *telemetry.Spool
	stop     func()

	mu      sync.Mutex
	puts    int
	stored  int
	settled map[string]int // by verdict and reason
	total   int            // settled in all
}

// newRig starts a spool that is offline; o may be zero.
func newRig(t testing.TB, o telemetry.Options) *rig {
	if o.Clock == nil { // the uptime of the machine does not know the virtual time
		o.Clock = (&machine{booted: time.Now().Add(-time.Hour)}).clock
	}
	r := &rig{t: t, o: o, link: newLink(t), file: filepath.Join(t.TempDir(), "spool.db"), settled: map[string]int{}}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

func (r *rig) maxSize() int64 { return cmp.Or(r.o.MaxSize, 256<<20) }

// start opens the database and runs the spool.
func (r *rig) start() {
	r.t.Helper()
	db, err := sqlite.Open(sqlite.Options{File: r.file, Migrations: telemetry.Migrations(), MaxBytes: r.maxBytes, MaxWAL: telemetry.MaxWAL(r.maxSize())})
	if err != nil {
		r.t.Fatal(err)
	}
	o := r.o
	o.DB, o.Link, o.Settled = db, r.link, r.settle
	o.MaxSize = r.maxSize()
	if o.BootID == "" {
		o.BootID = "boot-1"
	}
	s, err := telemetry.New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.db, r.spool = db, s
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	dbCtx, cancelDB := context.WithCancel(context.Background())
	dbEnded := make(chan error, 1)
	go func() { dbEnded <- db.Run(dbCtx) }()
	r.stop = sync.OnceFunc(func() {
		r.link.cut()
		cancel()
		err := <-ended
		cancelDB()
		if err := errors.Join(err, <-dbEnded); err != nil {
			r.t.Error(err)
		}
	})
}

// restart stops the spool and starts it again on the same file.
func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

func (r *rig) settle(s telemetry.Settlement) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := s.Verdict.String()
	if s.Reason != "" {
		key += " " + s.Reason
	}
	r.settled[key] += s.N
	r.total += s.N
}

func (r *rig) settlements() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	copied := map[string]int{}
	for k, n := range r.settled {
		copied[k] = n
	}
	return copied
}

func (r *rig) counts() (stored, settled int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored, r.total
}

// put spools one message.
func (r *rig) put(from, topic, payload string, route telemetry.Route) {
	r.t.Helper()
	m := message.Message{Source: message.DeviceEndpoint(from), Topic: topic, Payload: []byte(payload), QoS: 1}
	r.putMessage(&m, route)
}

func (r *rig) putMessage(m *message.Message, route telemetry.Route) {
	r.t.Helper()
	if route.Key == "" {
		route.Key = "row"
	}
	r.mu.Lock()
	r.puts++
	r.mu.Unlock()
	err := r.spool.Put(m, route, func(err error) {
		if err != nil {
			r.t.Errorf("stored: %v", err)
		}
		r.mu.Lock()
		r.stored++
		r.mu.Unlock()
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// number spools messages with the payloads from to to-1.
func (r *rig) number(device, topic string, from, to int, route telemetry.Route) {
	r.t.Helper()
	for i := from; i < to; i++ {
		r.put(device, topic, strconv.Itoa(i), route)
	}
	r.flushed()
}

// flushed waits until all that was put is on the disk.
func (r *rig) flushed() {
	synctest.Wait()
	for end := time.Now().Add(time.Minute); ; {
		if err := r.db.Update(context.Background(), func(*sqlite.Tx) error { return nil }); err != nil {
			r.t.Fatal(err)
		}
		synctest.Wait()
		if r.db.Stats().Waiting == 0 {
			return
		}
		if time.Now().After(end) {
			r.t.Fatal("the messages do not come onto the disk")
		}
	}
}

// wait lets the virtual time go on until cond holds.
func (r *rig) wait(what string, cond func() bool) {
	r.t.Helper()
	for end := time.Now().Add(time.Hour); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("after an hour there is still no %s; settled %v, stats %+v, faults %q", what, r.settlements(), r.spool.Stats(), r.spool.Faults())
		}
	}
}

// drained waits until every message is settled.
func (r *rig) drained() {
	r.t.Helper()
	r.wait("empty spool", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.total >= r.puts
	})
	if st := r.spool.Stats(); st.Messages != 0 || st.Bytes != 0 || st.Oldest != nil || len(r.spool.Content()) != 0 {
		r.t.Errorf("all is settled, but the spool says %+v, content %v", st, r.spool.Content())
	}
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// wantOrder checks what arrived of each source and topic: the numbers from 0 to n-1,
// each first one in order. It returns the number of duplicates.
func (r *rig) wantOrder(n map[string]int) (duplicates int) {
	r.t.Helper()
	next := map[string]int{}
	for _, p := range r.link.got() {
		stream := property(p, "gg-source") + " " + p.Topic
		i, err := strconv.Atoi(string(p.Payload))
		switch {
		case err != nil:
			r.t.Fatalf("%q came on %s", p.Payload, stream)
		case i < next[stream]:
			duplicates++
		case i > next[stream]:
			r.t.Fatalf("%s: %d came when %d was to come", stream, i, next[stream])
		default:
			next[stream]++
		}
	}
	for stream, want := range n {
		if next[stream] != want {
			r.t.Errorf("%s: %d of %d came", stream, next[stream], want)
		}
	}
	return duplicates
}

func contains(faults []string, word string) bool { return strings.Contains(fmt.Sprint(faults), word) }

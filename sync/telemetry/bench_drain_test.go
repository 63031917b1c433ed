package telemetry_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"greengate/core/sqlite"
	"greengate/sync/telemetry"
)

// swift is a link whose cloud acknowledges at once, so that reading and deleting are all
// that a drain takes. Its window is that of AWS.
type swift struct {
	mu      sync.Mutex
	changed chan struct{}
	up      bool
	window  chan func(error)
}

func newSwift(b *testing.B) *swift {
	l := &swift{changed: make(chan struct{}), window: make(chan func(error), 100)}
	var cloud sync.WaitGroup
	cloud.Go(func() {
		for done := range l.window {
			done(nil)
		}
	})
	b.Cleanup(func() { close(l.window); cloud.Wait() })
	return l
}

func (l *swift) set(up bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up = up
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *swift) Connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

func (l *swift) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

func (l *swift) Check(string, int) error { return nil }

func (l *swift) Send(_ context.Context, _ *telemetry.Publish, done func(error)) error {
	l.window <- done
	return nil
}

// rowByRow is the peer: it reads a message, sends it, and deletes it with a commit of its
// own, in a database of the same schema.
func rowByRow(b *testing.B) (fill, drain func(n int)) {
	_, db := newBench(b, filepath.Join(b.TempDir(), "spool.db"), telemetry.Options{})
	update := func(f func(tx *sqlite.Tx) error) {
		if err := db.Update(context.Background(), f); err != nil {
			b.Error(err)
		}
	}
	fill = func(n int) {
		update(func(tx *sqlite.Tx) error {
			for i := range n {
				if err := tx.Exec("INSERT INTO messages_low VALUES (?, ?, ?)", i+1, make([]byte, 37), benchPayload); err != nil {
					return err
				}
			}
			return nil
		})
	}
	drain = func(n int) {
		for range n {
			var seq int64
			err := db.View(context.Background(), func(tx *sqlite.Tx) error {
				var head, body []byte
				return tx.QueryRow("SELECT seq, head, body FROM messages_low ORDER BY seq LIMIT 1").Scan(&seq, &head, &body)
			})
			if err != nil {
				b.Error(err)
			}
			update(func(tx *sqlite.Tx) error { return tx.Exec("DELETE FROM messages_low WHERE seq = ?", seq) })
		}
	}
	return fill, drain
}

// Drain of a backlog, fsync included, beside one that reads, sends and deletes each
// message by itself.
func BenchmarkDrain(b *testing.B) {
	link := newSwift(b)
	settled := make(chan int, 1<<16)
	s, _ := newBench(b, filepath.Join(b.TempDir(), "spool.db"), telemetry.Options{
		Link: link, Settled: func(s telemetry.Settlement) { settled <- s.N },
	})
	fill, drain := rowByRow(b)
	c := contest{
		names: []string{"spool", "rows"},
		fill:  []func(int){func(n int) { spool(b, s, n) }, fill},
		each: []func(int){func(n int) {
			link.set(true)
			for n > 0 {
				n -= <-settled
			}
			link.set(false)
		}, drain},
		sizes: []int{10000, 100},
	}
	c.run(b)
}

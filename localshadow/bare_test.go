package localshadow_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
)

// What durable updates are held against: the bare UPDATE of a row with a document of
// that size, prepared, so many a commit, with the same guarantees.
const (
	bareThings = 1000
	bareBytes  = 914
	bareCommit = 100
	bareEach   = 100 * bareCommit // updates of a turn
)

var bareSchema = fstest.MapFS{"01-bare.sql": {Data: []byte(`CREATE TABLE documents (id INTEGER PRIMARY KEY, document BLOB NOT NULL) STRICT`)}}

// BenchmarkDurable100 is updates of 1 KiB documents of 1,000 things, 100 a commit, with
// all that belongs to them: merge, answers, and a journal that is full. In turn with it
// the bare UPDATE: a disk is not the same from one second to the next.
func BenchmarkDurable100(b *testing.B) {
	const turns = 7
	st := openStation(b, func(d *sqlite.Options, o *localshadow.Options) {
		d.MaxBatch = bareCommit
		o.Publish, o.Offer = func(string, []byte) {}, func(string, func() []byte) {} // nobody wants documents
		o.Bounds.JournalBytes = 2 << 20
	})
	updates := seed(b, st, bareThings)
	bare := openBare(b)
	figures := map[string][]float64{}
	for turn := range turns + 1 {
		ours := spentBy(b, st.DB, func() { st.updates(updates, turn*bareEach) })
		theirs := spentBy(b, bare.DB, func() { bare.updates(b) })
		if turn == 0 {
			continue // to warm up, and to fill the journal
		}
		b.Logf("%v; bare %v", ours, theirs)
		for unit, f := range map[string]float64{
			"updates/s": ours.rate, "bare-updates/s": theirs.rate, "of-bare": ours.rate / theirs.rate,
			"cpu-us/update": ours.cpu, "bare-cpu-us/update": theirs.cpu,
			"B-written/update": ours.written, "bare-B-written/update": theirs.written,
		} {
			figures[unit] = append(figures[unit], f)
		}
	}
	b.ReportMetric(0, "ns/op")
	for unit, all := range figures {
		slices.Sort(all)
		b.ReportMetric(all[turns/2], unit)
	}
}

// spent is what updates took, each.
type spent struct{ rate, cpu, written float64 }

func (s spent) String() string {
	return fmt.Sprintf("%6.0f updates/s, %4.1f us of CPU and %4.0f bytes on disk for one", s.rate, s.cpu, s.written)
}

func spentBy(b *testing.B, db *sqlite.DB, updates func()) spent {
	began, before, written := time.Now(), used(b), db.Stats().WrittenBytes
	updates()
	took, cpu := time.Since(began), used(b)-before
	return spent{
		rate: bareEach / took.Seconds(), cpu: cpu.Seconds() * 1e6 / bareEach,
		written: float64(db.Stats().WrittenBytes-written) / bareEach,
	}
}

// updates has a turn of updates made, as many under way as fill two commits. first is
// the number of the first.
func (st *station) updates(updates [][]byte, first int) {
	room := make(chan struct{}, 2*bareCommit)
	done := func(err error) {
		if err != nil {
			st.Error(err)
		}
		<-room
	}
	for i := first; i < first+bareEach; i++ {
		room <- struct{}{}
		// In each round over the things another one, so that all change something.
		if err := st.Deliver(updateTopic(fmt.Sprint(i%bareThings)), updates[(i+i/bareThings*7)%len(updates)], device, done); err != nil {
			st.Fatal(err)
		}
	}
	for range cap(room) {
		room <- struct{}{}
	}
}

// bare is a database with nothing but documents.
type bare struct{ *sqlite.DB }

func openBare(b *testing.B) bare {
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(b.TempDir(), "bare.db"), Migrations: bareSchema, MaxBatch: 1, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	run(b, db.Run)
	err = db.Update(b.Context(), func(tx *sqlite.Tx) error {
		for id := range bareThings {
			if err := tx.Exec(`INSERT INTO documents VALUES (?, ?)`, id, make([]byte, bareBytes)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return bare{db}
}

// updates has a turn of rows written, each commit handed in while the one before is on
// its way. No document is like the one before: SQLite writes no page that stays as it is.
func (db bare) updates(b *testing.B) {
	document := make([]byte, bareBytes)
	ended := make(chan error, bareEach/bareCommit)
	for at := 0; at < bareEach; at += bareCommit {
		db.Write(func(tx *sqlite.Tx) error {
			for i := range bareCommit {
				rand.Read(document[:16])
				if err := tx.Exec(`UPDATE documents SET document = ? WHERE id = ?`, document, (at+i)%bareThings); err != nil {
					return err
				}
			}
			return nil
		}, func(err error) { ended <- err })
	}
	for range cap(ended) {
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
}

package telemetry

import (
	"context"
	"time"

	"greengate/core/sqlite"
)

// item is a row in hand.
type item struct {
	seq, prev  int64
	lane       laneID
	routeID    int64
	route      *route // of routeID; set by who has the row in hand
	source     string
	topic      string
	mono, wall int64
	ttl        int64 // ms
	flags      int
	damaged    bool // its checksum is wrong, or its seal
	forged     bool // it is the seal
	properties []byte
	payload    []byte

	front  []byte // of one in a box
	sealed box    // nil: it is in clear, or open
	locked string // the id of the key that opens it, which is not there
	counts int64  // what one in a box counts as
	bytes  int64  // of the row: what it takes in memory

	gone bool // it leaves the disk: do not send it again

	early bool   // it has no row yet; guarded by intake.mu
	round int    // intake.round when it was sent early
	end   *leave // what became of it before it had one; guarded by intake.mu
}

// taken stands for a row that somebody other than the uploader has in hand.
var taken = &item{gone: true}

// damage says why it is not to be sent.
func (it *item) damage() string {
	if it.forged {
		return causeForged
	}
	return causeDamaged
}

// readable reports whether it is known what it says.
func (it *item) readable() bool { return !it.damaged && it.locked == "" }

func (it *item) stream() streamKey { return streamKey{it.source, it.topic} }

func (it *item) size() int64 {
	if it.flags&flagSealed != 0 {
		return it.counts // also of one that cannot be opened
	}
	return int64(len(it.topic) + len(it.payload))
}

type streamKey struct{ source, topic string }

// Who has a row in hand decides alone what becomes of it. Rows are read in a View,
// which may be older than the last commit: a row that left meanwhile must not be taken
// for one that waits. Therefore rows that have left stay held while anybody reads.

// take takes a row in hand, unless somebody has it.
func (s *Spool) take(seq int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, held := s.held[seq]; held {
		return false
	}
	s.held[seq] = taken
	return true
}

// release lets go of rows that have left the disk, or that stay there after all.
func (s *Spool) release(seqs []int64) {
	if len(seqs) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading > 0 {
		s.ghosts = append(s.ghosts, seqs...)
		return
	}
	for _, seq := range seqs {
		delete(s.held, seq)
	}
}

// view runs f as a View, and then claim with s.mu held: what f read and is not held
// waits on the disk.
func (s *Spool) view(ctx context.Context, f func(*sqlite.Tx) error, claim func()) error {
	s.mu.Lock()
	s.reading++
	s.mu.Unlock()
	err := s.o.DB.View(ctx, f)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		claim()
	}
	if s.reading--; s.reading == 0 {
		for _, seq := range s.ghosts {
			delete(s.held, seq)
		}
		s.ghosts = s.ghosts[:0]
	}
	return err
}

// routeOf returns the route of a row.
func (s *Spool) routeOf(id int64) *route {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.routeByID(id)
}

// routeByID is routeOf for who holds s.mu. A route that is not known, which only
// damage to the database makes, is one without wishes.
func (s *Spool) routeByID(id int64) *route {
	r := s.byID[id]
	if r == nil {
		r = &route{id: id, key: "unknown"}
		r.settings.Store(&Route{Key: r.key})
		s.byID[id] = r
	}
	return r
}

// maxReadBytes bounds the rows that one View reads.
const maxReadBytes = 1 << 20

// read reads the rows of a lane after one, in order.
func read(tx *sqlite.Tx, lane laneID, after int64, limit int) (items []*item, err error) {
	rows, err := tx.Query(lane.sql().read, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for bytes := int64(0); bytes < maxReadBytes && rows.Next(); {
		var seq int64
		var head, body []byte
		if err := rows.Scan(&seq, &head, &body); err != nil {
			return nil, err
		}
		it := newItem(seq, lane, head, body)
		items = append(items, it)
		bytes += it.bytes
	}
	return items, rows.Err()
}

// items is read with what is in boxes opened, as far as there are keys.
func (s *Spool) items(tx *sqlite.Tx, lane laneID, after int64, limit int) ([]*item, error) {
	items, err := read(tx, lane, after, limit)
	s.keys.open(items...)
	return items, err
}

// heads hands the heads of the rows of a lane after one to see, and returns how many
// there were.
func heads(tx *sqlite.Tx, lane laneID, after int64, limit int, see func(seq int64, h *head, size int64)) (seen int, err error) {
	rows, err := tx.Query(lane.sql().heads, after, limit)
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		var seq int64
		var bytes []byte
		var body int
		if err := rows.Scan(&seq, &bytes, &body); err != nil {
			return 0, err
		}
		h, _ := parseHead(bytes, body) // what is damaged shows when it is read whole
		seen++
		see(seq, &h, h.size(body))
	}
	return seen, rows.Err()
}

// expired reports whether the time of a row has run out.
func (s *Spool) expired(seq, mono, wall, ttl int64, flags int) bool {
	return ttl > 0 && s.clock.age(seq, mono, wall, flags) >= time.Duration(ttl)*time.Millisecond
}

package telemetry

import (
	"context"
	"hash/crc32"
	"time"

	"greengate/core/sqlite"
)

// item is a row in hand.
type item struct {
	seq, prev  int64
	lane       laneID
	route      *route
	source     string
	topic      string
	mono, wall int64
	ttl        int64 // ms
	flags      int
	sum        int64
	properties []byte
	payload    []byte

	gone bool // it leaves the disk: do not send it again
}

// taken stands for a row that somebody other than the uploader has in hand.
var taken = &item{gone: true}

func (it *item) stream() streamKey { return streamKey{it.source, it.topic} }

func (it *item) size() int64 { return int64(len(it.topic) + len(it.payload)) }

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

// maxReadBytes bounds the payloads that one View reads.
const maxReadBytes = 1 << 20

// read reads the rows of a lane after one, in order.
func read(tx *sqlite.Tx, lane laneID, after int64, limit int) (items []*item, routes []int64, err error) {
	rows, err := tx.Query(lane.sql().read, after, limit)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for bytes := int64(0); bytes < maxReadBytes && rows.Next(); {
		it := &item{lane: lane}
		var route int64
		err := rows.Scan(&it.seq, &it.source, &it.topic, &route, &it.prev, &it.mono, &it.wall, &it.ttl,
			&it.flags, &it.sum, &it.properties, &it.payload)
		if err != nil {
			return nil, nil, err
		}
		items, routes = append(items, it), append(routes, route)
		bytes += it.size()
	}
	return items, routes, rows.Err()
}

// expired reports whether the time of a row has run out.
func (s *Spool) expired(seq, mono, wall, ttl int64, flags int) bool {
	return ttl > 0 && s.clock.age(seq, mono, wall, flags) >= time.Duration(ttl)*time.Millisecond
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers all of a message that the cloud gets.
func checksum(source, topic string, properties, payload []byte) int64 {
	sum := crc32.Update(0, castagnoli, []byte(source))
	sum = crc32.Update(sum, castagnoli, []byte(topic))
	sum = crc32.Update(sum, castagnoli, properties)
	return int64(crc32.Update(sum, castagnoli, payload))
}

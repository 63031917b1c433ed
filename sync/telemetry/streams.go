package telemetry

import (
	"errors"

	"greengate/core/sqlite"
)

// Bounds of what is remembered of streams.
const (
	maxStreams = 32768 // about 2 MB
	dropMany   = 2048  // of them at a time
	tidyAfter  = 8192  // new ones
)

// stream is where the messages of one source and topic are.
type stream struct {
	lane laneID
	last int64 // seq of the last one
}

// streams keeps the messages of one source and topic in one lane: a row that a new
// table gives another priority would let later ones overtake. So a stream changes its
// lane when all that it had in the old one has left. It belongs to the functions of
// the database.
//
// What the database says of a stream may be older than what memory knew before a
// crash. Therefore last is never taken for less than unsure, the highest seq of then.
type streams struct {
	known  map[int64]stream
	unsure int64
	blind  bool  // messages wait that cannot be read: any stream may have some, up to unsure
	floor  int64 // the messages from here on are those of the function that runs
	added  int
}

func (st *streams) init() { st.known = map[int64]stream{} }

// hashOf names a stream. Two that share a hash share a lane, which is no harm.
// It is FNV-1a of both with a zero between.
func hashOf(source, topic string) int64 {
	const start, prime = 14695981039346656037, 1099511628211
	h := uint64(start)
	for i := range len(source) {
		h = (h ^ uint64(source[i])) * prime
	}
	h *= prime
	for i := range len(topic) {
		h = (h ^ uint64(topic[i])) * prime
	}
	return int64(h)
}

// place returns the lane of a message, and the seq of the one before it in its stream.
func (st *streams) place(tx *sqlite.Tx, e *entry) (laneID, int64, error) {
	hash := e.stream
	s, ok := st.known[hash]
	if !ok {
		var err error
		if s, err = st.recall(tx, hash, e.want); err != nil {
			return 0, 0, err
		}
	}
	if s.lane != e.want {
		first, err := st.first(tx, s.lane)
		if err != nil {
			return 0, 0, err
		}
		if first > s.last {
			s.lane = e.want
			if err := st.save(tx, hash, s); err != nil {
				return 0, 0, err
			}
		}
	}
	prev := s.last
	s.last = e.seq
	st.known[hash] = s
	return s.lane, prev, nil
}

// first returns the seq before which no message of the lane is left.
func (st *streams) first(tx *sqlite.Tx, lane laneID) (seq int64, err error) {
	if err := tx.QueryRow(lane.sql().first).Scan(&seq); err != nil {
		return 0, err
	}
	if seq == 0 || seq > st.floor {
		seq = st.floor
	}
	return seq, nil
}

// recall reads a stream that is not in memory, or begins it.
func (st *streams) recall(tx *sqlite.Tx, hash int64, lane laneID) (stream, error) {
	if len(st.known) >= maxStreams {
		if err := st.shrink(tx); err != nil {
			return stream{}, err
		}
	}
	var s stream
	err := tx.QueryRow("SELECT lane, last FROM streams WHERE hash = ?", hash).Scan(&s.lane, &s.last)
	if err == nil && s.lane >= 0 && s.lane < lanes {
		s.last = max(s.last, st.unsure)
		return s, nil
	}
	if err != nil && !errors.Is(err, sqlite.ErrNoRows) {
		return s, err
	}
	if st.added++; st.added >= tidyAfter {
		st.added = 0
		if err := st.tidy(tx); err != nil {
			return s, err
		}
	}
	s.lane = lane
	if st.blind {
		s.last = st.unsure
	}
	return s, st.save(tx, hash, s)
}

// nameStreams sees to it that the table streams has the names that the key with that id
// gives: when another is there, it is made anew of what waits and can be read.
func (s *Spool) nameStreams(tx *sqlite.Tx, key string) error {
	var named string
	if err := tx.QueryRow("SELECT coalesce(streams, 'none') FROM state").Scan(&named); err != nil {
		return err
	}
	if named == key {
		return nil
	}
	if err := tx.Exec("DELETE FROM streams"); err != nil {
		return err
	}
	by := s.keys.has(key)
	for lane := range lanes {
		last := map[int64]int64{}
		for after, more := int64(0), true; more; {
			items, err := s.items(tx, lane, after, listRows)
			if err != nil {
				return err
			}
			for _, it := range items {
				after = it.seq
				if it.readable() {
					last[streamOf(by, it.source, it.topic)] = it.seq
				}
			}
			more = len(items) > 0
		}
		for hash, seq := range last {
			if err := s.streams.save(tx, hash, stream{lane, seq}); err != nil {
				return err
			}
		}
	}
	return tx.Exec("UPDATE state SET streams = ?", key)
}

// streamOf names a stream in the database; k may be nil.
func streamOf(k *Key, source, topic string) int64 {
	hash := hashOf(source, topic)
	if k != nil {
		hash = k.name(hash)
	}
	return hash
}

// stream names a stream by the key under which messages are written.
func (k *keys) stream(source, topic string) int64 {
	if s := k.seal.Load(); s != nil {
		return streamOf(s.key, source, topic)
	}
	return hashOf(source, topic)
}

const sqlSaveStream = "INSERT OR REPLACE INTO streams (hash, lane, last) VALUES (?, ?, ?)"

func (st *streams) save(tx *sqlite.Tx, hash int64, s stream) error {
	return tx.Exec(sqlSaveStream, hash, int(s.lane), s.last)
}

// shrink writes some streams to the database alone.
func (st *streams) shrink(tx *sqlite.Tx) error {
	n := 0
	for hash, s := range st.known {
		if err := st.save(tx, hash, s); err != nil {
			return err
		}
		delete(st.known, hash)
		if n++; n == dropMany {
			break
		}
	}
	return nil
}

// tidy forgets the streams of which no message is left.
func (st *streams) tidy(tx *sqlite.Tx) error {
	for hash, s := range st.known {
		if err := st.save(tx, hash, s); err != nil {
			return err
		}
	}
	for lane := range lanes {
		first, err := st.first(tx, lane)
		if err != nil {
			return err
		}
		if first <= st.unsure {
			continue
		}
		if err := tx.Exec("DELETE FROM streams WHERE lane = ? AND last < ?", int(lane), first); err != nil {
			return err
		}
		for hash, s := range st.known {
			if s.lane == lane && s.last < first {
				delete(st.known, hash)
			}
		}
	}
	return nil
}

// forget drops what memory knows, since the database may not have it.
func (st *streams) forget(in *intake) {
	clear(st.known)
	in.mu.Lock()
	st.unsure = in.seq
	in.mu.Unlock()
}

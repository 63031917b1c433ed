package telemetry

import "greengate/core/sqlite"

// The size of the spool on the disk. SQLite does not give pages back to the file
// system, it fills those that became free before the file grows. So a bound on the
// pages in use is one on the file, and the pages in use can be brought down by giving
// messages up. The WAL comes on top: it is counted as walAllowance, or as what it is
// when a slow reader made it longer.
const (
	walAllowance = 8 << 20 // what core/sqlite lets stand of it
	rowOverhead  = 64      // bytes of a row besides topic, source, properties and payload
)

// room is how much fits, as one function of the database sees it.
type room struct {
	page    int64 // bytes
	used    int64 // bytes of pages in use
	limit   int64 // of used
	pending int64 // bytes that are about to be inserted
}

// diskState is what room knew last, for Stats; guarded by Spool.mu.
type diskState struct {
	used, limit int64
	reserved    bool // the reserve of the file system, not MaxSize, is the limit
}

// limitOf is how many bytes of pages may be in use in a spool of that size.
func limitOf(maxSize, wal int64) int64 {
	return maxSize - max(min(walAllowance, maxSize/4), min(wal, maxSize/2))
}

// measure looks at the database and the file system.
func (r *room) measure(s *Spool, tx *sqlite.Tx) error {
	r.pending = 0
	if err := tx.QueryRow("SELECT page_size FROM pragma_page_size").Scan(&r.page); err != nil {
		return err
	}
	if err := r.look(tx); err != nil {
		return err
	}
	disk := s.o.DB.Stats()
	r.limit = limitOf(s.o.MaxSize, disk.WALBytes)
	reserved := false
	if s.o.Free != nil && s.o.Reserve > 0 {
		free, err := s.o.Free()
		if err != nil {
			return err
		}
		if most := disk.FileBytes + free - s.o.Reserve; most < r.limit {
			r.limit, reserved = most, true
		}
	}
	s.mu.Lock()
	s.bounds = diskState{r.used, r.limit, reserved}
	s.mu.Unlock()
	return nil
}

// look reads how many pages are in use.
func (r *room) look(tx *sqlite.Tx) error {
	var pages, free int64
	err := tx.QueryRow("SELECT p.page_count, f.freelist_count FROM pragma_page_count p, pragma_freelist_count f").Scan(&pages, &free)
	r.used = (pages - free) * r.page
	return err
}

// cost is about how many bytes of pages a message takes.
func (r *room) cost(e *entry) int64 {
	n := int64(len(e.source)+len(e.properties)) + e.size() + rowOverhead
	if n > r.page { // its end is in pages of its own
		n += r.page
	}
	return n + n/16
}

// slack is for the pages that are not full and those above them.
func (r *room) slack() int64 { return 8 * r.page }

func (r *room) short(need int64) bool {
	return r.used+r.pending+need+r.slack() > r.limit
}

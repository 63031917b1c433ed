package telemetry

import "greengate/core/sqlite"

// The size of the spool on the disk. SQLite does not give pages back to the file
// system, it fills those that became free before the file grows. So a bound on the
// pages in use is one on the file, and the pages in use can be brought down by giving
// messages up. The WAL comes on top: it is counted as walAllowance, in a small spool as
// three eighths of it (thinning rewrites many pages at once), or as what it is when a slow
// reader made it longer.
const (
	walAllowance = 8 << 20 // what core/sqlite lets stand of it
	rowOverhead  = 16      // bytes of a row besides head and body
)

// MaxWAL is how long the WAL of a spool of that size may get before a commit moves it
// into the file (sqlite.Options), in bytes: a small spool has less room for one.
func MaxWAL(maxSize int64) int64 { return min(4<<20, maxSize/8) }

// room is how much fits, as one function of the database sees it.
type room struct {
	page    int64 // bytes
	used    int64 // bytes of pages in use
	limit   int64 // of used
	pending int64 // bytes that are about to be inserted
	sealing int64 // bytes of a message more than it has
}

// diskState is what room knew last, for Stats; guarded by Spool.mu.
type diskState struct {
	used, limit int64
	reserved    bool // the reserve of the file system, not MaxSize, is the limit
}

// limitOf is how many bytes of pages may be in use in a spool of that size.
func limitOf(maxSize, wal int64) int64 {
	return maxSize - max(min(walAllowance, maxSize*3/8), min(wal, maxSize/2))
}

// measure looks at the database and the file system.
func (r *room) measure(s *Spool, tx *sqlite.Tx) error {
	r.pending, r.sealing = 0, 0
	if s.keys.seal.Load() != nil {
		r.sealing = sealCost
	}
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

// cost is about how many bytes of pages a message takes. Only whole rows are in a page;
// of a row that is too long the end is in pages of its own
// (https://www.sqlite.org/fileformat2.html#record_format, "overflow").
func (r *room) cost(e *entry) int64 {
	const head = 16 // of a row in a page, and of a page
	n := int64(len(e.row.bytes)) + rowOverhead + r.sealing
	overflow := int64(0)
	if most := r.page - 35; n > most {
		least := (r.page-12)*32/255 - 23
		local := least + (n-least)%(r.page-4)
		if local > most {
			local = least
		}
		overflow = (n - local + r.page - 5) / (r.page - 4) * r.page
		n = local
	}
	return overflow + r.page/max(1, (r.page-head)/(n+head)) + n/64
}

// slack is for the pages that are not full and those above them.
func (r *room) slack() int64 { return 8 * r.page }

func (r *room) short(need int64) bool {
	return r.used+r.pending+need+r.slack() > r.limit
}

package testvm_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"

	"greengate/testvm/streams"
)

// entry is a write or a flush of the machine's disk.
type entry struct {
	at, size int64 // on the disk, in bytes
	flags    uint64
	data     int64 // where its bytes are in the log
}

// The flags of an entry.
const (
	flush      = 1 // what was written before is durable
	forced     = 2 // this write is durable (FUA)
	discard    = 4 // has no data in the log
	knownFlags = flush | forced | discard
)

// writeLog is a log of all that was done to a disk, in the order in which it was
// done: the format of Linux's dm-log-writes, as QEMU's driver blklogwrites writes
// it.
type writeLog struct {
	file    *os.File
	entries []entry
}

func openWriteLog(path string) (*writeLog, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	// The head of the log, and of each entry, takes a sector. All numbers are
	// little-endian.
	const magic, sector = 0x6a736677736872, streams.Sector
	u64 := binary.LittleEndian.Uint64
	head := make([]byte, sector)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("read the head of the write log: %w", err)
	}
	if u64(head) != magic || binary.LittleEndian.Uint32(head[24:]) != sector {
		return nil, errors.New("read the head of the write log: it is none, or of another sector size")
	}
	l := &writeLog{file: f}
	at := int64(sector)
	for range u64(head[16:]) {
		if _, err := f.ReadAt(head, at); err != nil {
			return nil, fmt.Errorf("read entry %d of the write log: %w", len(l.entries), err)
		}
		e := entry{at: int64(u64(head)) * sector, size: int64(u64(head[8:])) * sector, flags: u64(head[16:]), data: at + sector}
		if e.flags&^knownFlags != 0 || e.at+e.size > streams.Disk {
			return nil, fmt.Errorf("read entry %d of the write log: it makes no sense: %+v", len(l.entries), e)
		}
		if at += sector; e.flags&discard == 0 {
			at += e.size
		}
		l.entries = append(l.entries, e)
	}
	return l, nil
}

// noted is what the writer has noted: the last number of each event of a stream.
// What is not there has not happened.
type noted map[fact]int

type fact struct {
	stream int
	event  streams.Event
}

// replay is the disk of the machine at a moment of the log. It goes forward only.
type replay struct {
	*writeLog
	next    int // the entry that comes next
	durable *pages
	waiting []entry // since the last flush
	notes   noted
}

func newReplay(l *writeLog, base string) (*replay, error) {
	p, err := readPages(base)
	return &replay{writeLog: l, durable: p, notes: noted{}}, err
}

// forward goes on to the moment after n entries.
func (r *replay) forward(n int) error {
	for ; r.next < n; r.next++ {
		e := r.entries[r.next]
		if e.flags&flush != 0 {
			for _, w := range r.waiting {
				if err := r.apply(r.durable, w, w.size); err != nil {
					return err
				}
			}
			r.waiting = nil
		}
		switch {
		case e.size == 0 || e.flags&discard != 0:
		case e.at >= streams.FileSystem:
			if err := r.note(e); err != nil {
				return err
			}
		default:
			r.waiting = append(r.waiting, e)
		}
	}
	return nil
}

func (r *replay) note(e entry) error {
	b := make([]byte, e.size)
	if _, err := r.file.ReadAt(b, e.data); err != nil {
		return err
	}
	n, ok := streams.ParseNote(b)
	if !ok {
		return fmt.Errorf("entry %d is no note", r.next)
	}
	r.notes[fact{n.Stream, n.Event}] = n.N
	return nil
}

// apply writes the first size bytes of an entry.
func (r *replay) apply(to *pages, e entry, size int64) error {
	b := make([]byte, size)
	if _, err := r.file.ReadAt(b, e.data); err != nil {
		return err
	}
	to.write(e.at, b)
	return nil
}

// cut returns the disk as the power could leave it now, and says what befell the
// writes that no flush has made durable. A disk with a cache may have taken any
// of them to its medium, and a part of one.
func (r *replay) cut(chance *rand.Rand) (*pages, string, error) {
	p := r.durable.clone()
	keep := []float64{0, 1, 0.1, 0.3, 0.5, 0.7, 0.9}[chance.IntN(7)]
	kept, dropped, torn := 0, 0, 0
	for _, e := range r.waiting {
		size := e.size
		switch sectors := size / streams.Sector; {
		case e.flags&forced != 0 || keep == 1:
		case chance.Float64() >= keep:
			dropped++
			continue
		case sectors > 1 && chance.IntN(4) == 0:
			size = spareSuperblock(e, (1+chance.Int64N(sectors-1))*streams.Sector)
			torn++
		}
		kept++
		if err := r.apply(p, e, size); err != nil {
			return nil, "", err
		}
	}
	return p, fmt.Sprintf("of the writes after the last flush %d kept (%d of them torn), %d dropped", kept, torn, dropped), nil
}

// spareSuperblock has a torn write of size bytes hold the superblock whole or not at all.
// Half of one keeps ext4 from being mounted until a person names a copy to e2fsck,
// whatever was done above it, and its journal is no help: it stands in the superblock.
func spareSuperblock(e entry, size int64) int64 {
	const from, to = 1024, 2048 // on the disk
	if end := e.at + size; from < end && end < to {
		return min(to-e.at, e.size)
	}
	return size
}

// pageSize is a page of the simulated disk. Those that are all zero are not there.
const pageSize = 4096

// pages are the contents of a disk. A page is never changed, so that copies share it.
type pages struct{ at map[int64][]byte }

func readPages(path string) (*pages, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &pages{map[int64][]byte{}}
	for at := int64(0); ; at += pageSize {
		b := make([]byte, pageSize)
		_, err := io.ReadFull(f, b)
		if err == io.EOF {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if slices.Max(b) != 0 {
			p.at[at] = b
		}
	}
}

func (p *pages) clone() *pages { return &pages{maps.Clone(p.at)} }

func (p *pages) write(at int64, b []byte) {
	for len(b) > 0 {
		within := at % pageSize
		page := make([]byte, pageSize)
		copy(page, p.at[at-within])
		n := copy(page[within:], b)
		p.at[at-within] = page
		at, b = at+int64(n), b[n:]
	}
}

// save writes the file system of the disk as a sparse file.
func (p *pages) save(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	err = f.Truncate(streams.FileSystem)
	for at, b := range p.at {
		if err == nil && at < streams.FileSystem {
			_, err = f.WriteAt(b, at)
		}
	}
	return errors.Join(err, f.Close())
}

package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// The form of a WAL, https://www.sqlite.org/fileformat2.html#walformat. Numbers
// are big-endian; the checksums read the bytes as words of the order that the
// magic number tells.
const (
	walHeaderSize   = 32
	walFrameSize    = 24         // of a frame's header; the page follows
	walMagic        = 0x377f0682 // little-endian words; + 1: big-endian
	walMinPageSize  = 512
	walMaxPageSize  = 65536
	walHeaderSummed = 24 // bytes of the header under its checksum
	walFrameSummed  = 8  // bytes of a frame's header under its checksum, with the page
)

// walSum is the running checksum: that of a frame goes on from the one before.
type walSum [2]uint32

func (s walSum) add(order binary.ByteOrder, data []byte) walSum {
	for ; len(data) >= 8; data = data[8:] {
		s[0] += order.Uint32(data) + s[1]
		s[1] += order.Uint32(data[4:]) + s[0]
	}
	return s
}

func sumAt(data []byte) walSum {
	return walSum{binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:])}
}

// checkWAL finds damage in a WAL that SQLite would take for its end: it reads up
// to the first frame whose checksum is wrong, and drops the rest without a word.
//
// That is right for the last transaction, which a power cut tore: nobody was told
// that it was committed. It is wrong if whole transactions follow. A transaction
// is only appended to one that is on the disk, so that a commit, followed by a
// frame whose checksum goes on from it, somewhere behind the wrong frame, proves
// that the wrong one was once right. Frames of an earlier use of the file carry
// another salt; those of a commit that failed are followed by none that goes on.
func checkWAL(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	head := make([]byte, walHeaderSize)
	if n, err := io.ReadFull(in, head); err != nil {
		if n > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		return nil // the first write to the WAL was cut short
	}
	w, ok := parseWAL(head)
	if !ok {
		if _, err := in.Peek(1); err != nil {
			return nil // as above; frames follow only once the header is on the disk
		}
		return fmt.Errorf("%w: the WAL does not begin as one does", ErrCorrupt)
	}
	return w.scan(in)
}

// walScan walks the frames of a WAL.
type walScan struct {
	order    binary.ByteOrder
	salt     uint64
	pageSize int
	sum      walSum // of the frames that are right, up to here
}

func parseWAL(head []byte) (*walScan, bool) {
	magic := binary.BigEndian.Uint32(head)
	w := &walScan{order: binary.LittleEndian, salt: binary.BigEndian.Uint64(head[16:])}
	if magic == walMagic+1 {
		w.order = binary.BigEndian
	}
	w.sum = walSum{}.add(w.order, head[:walHeaderSummed])
	w.pageSize = int(binary.BigEndian.Uint32(head[8:]))
	sound := magic&^1 == walMagic && w.sum == sumAt(head[walHeaderSummed:]) &&
		w.pageSize >= walMinPageSize && w.pageSize <= walMaxPageSize && w.pageSize&(w.pageSize-1) == 0
	return w, sound
}

func (w *walScan) scan(in io.Reader) error {
	frame := make([]byte, walFrameSize+w.pageSize)
	var (
		wrong    int    // number of the first wrong frame; 0: none yet
		computed walSum // of that frame, in case that only what it stores is wrong
		before   walSum // stored in the frame before this one
		commit   bool   // that frame ends a transaction
	)
	for n := 1; ; n++ {
		if _, err := io.ReadFull(in, frame); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
		stored := sumAt(frame[16:])
		ours := binary.BigEndian.Uint64(frame[8:]) == w.salt
		switch {
		case wrong == 0:
			computed = w.sumFrame(w.sum, frame)
			w.sum = stored
			if !ours || computed != stored {
				wrong = n
			}
		case ours && commit && (w.sumFrame(before, frame) == stored ||
			n == wrong+1 && w.sumFrame(computed, frame) == stored):
			return fmt.Errorf("%w: frame %d of the WAL is wrong, and committed ones follow it", ErrCorrupt, wrong)
		}
		before, commit = stored, binary.BigEndian.Uint32(frame[4:]) != 0
	}
}

// mendWAL makes a WAL that checkWAL finds damaged readable up to its end, for who
// wants to read what is left: it writes anew the checksums of the frames, up to the
// last one that goes on from the frame before it. A page that is damaged stays so.
// What it cannot read or write stays as it is. It reports whether the WAL is damaged.
func mendWAL(file string) (damaged bool) {
	if err := checkWAL(file); !errors.Is(err, ErrCorrupt) {
		return false
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return true
	}
	defer f.Close()
	head := make([]byte, walHeaderSize)
	if _, err := io.ReadFull(f, head); err != nil {
		return true
	}
	w, ok := parseWAL(head)
	if !ok {
		return true
	}
	size := int64(walFrameSize + w.pageSize)
	frame := make([]byte, size)
	last, before := int64(0), w.sum
	each := func(do func(n int64)) {
		for n := int64(0); ; n++ {
			if _, err := f.ReadAt(frame, walHeaderSize+n*size); err != nil {
				return
			}
			do(n)
		}
	}
	each(func(n int64) {
		if binary.BigEndian.Uint64(frame[8:]) == w.salt && w.sumFrame(before, frame) == sumAt(frame[16:]) {
			last = n + 1
		}
		before = sumAt(frame[16:])
	})
	each(func(n int64) {
		if n >= last {
			return
		}
		binary.BigEndian.PutUint64(frame[8:], w.salt)
		w.sum = w.sumFrame(w.sum, frame)
		binary.BigEndian.PutUint32(frame[16:], w.sum[0])
		binary.BigEndian.PutUint32(frame[20:], w.sum[1])
		_, _ = f.WriteAt(frame[:walFrameSize], walHeaderSize+n*size)
	})
	return true
}

func (w *walScan) sumFrame(s walSum, frame []byte) walSum {
	return s.add(w.order, frame[:walFrameSummed]).add(w.order, frame[walFrameSize:])
}

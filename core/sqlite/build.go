package sqlite

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// builder makes a sound database of a copy and a damaged file.
type builder struct {
	r        *Recovery
	keep     Keep
	steps    []migration
	pageSize int // of a database that is made
}

// build makes the database to. What was read of the damaged file may turn out to be
// more than the schema or Keep.Mend can take: then it is left out.
func (b *builder) build(to string) error {
	err := b.try(to, true)
	if err != nil && !OfDisk(err) {
		b.r.Salvaged, b.r.Gaps = 0, true
		err = b.try(to, false)
	}
	return err
}

func (b *builder) try(to string, salvaging bool) (err error) {
	temp := to + ".new"
	c, err := b.base(temp)
	if err != nil {
		return err
	}
	if salvaging {
		err = b.salvage(c)
	}
	if err == nil {
		err = c.migrate(b.steps)
	}
	if mend := b.mend(); err == nil && mend != nil {
		if err = c.within(mend); err != nil {
			err = fmt.Errorf("mend what was restored: %w", err)
		}
	}
	if err := errors.Join(err, c.close()); err != nil {
		return errors.Join(err, clean(temp))
	}
	return publish(temp, to)
}

// mend is what makes right what was restored.
func (b *builder) mend() func(*Tx) error {
	if b.r.Salvaged == 0 && b.keep.MendCopy != nil {
		return b.keep.MendCopy
	}
	return b.keep.Mend
}

// clean removes a database that was not finished.
func clean(temp string) error {
	for _, end := range append([]string{"-journal"}, companions...) {
		if err := os.Remove(temp + end); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// base opens, at temp, what is sound of the copy, or else an empty database without a
// schema.
func (b *builder) base(temp string) (*conn, error) {
	if err := clean(temp); err != nil {
		return nil, err
	}
	b.r.Copy, b.r.CopyFault = time.Time{}, ""
	c, err := b.fromCopy(temp)
	if err == nil {
		return c, nil
	}
	if OfDisk(err) && !isDamage(copyOf(b.r.File), err) {
		return nil, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		b.r.CopyFault = plainText(b.r.File, err)
	}
	if err := clean(temp); err != nil {
		return nil, err
	}
	return openEmpty(temp, b.pageSize)
}

// fromCopy copies the copy, so that it stays as it is, and checks it.
func (b *builder) fromCopy(temp string) (*conn, error) {
	made, err := os.Stat(copyOf(b.r.File))
	if err != nil {
		return nil, err
	}
	if err := duplicate(copyOf(b.r.File), temp); err != nil {
		return nil, err
	}
	if _, err := inspect(temp); err != nil {
		return nil, err
	}
	c, err := openConn(temp, migrates)
	if err != nil {
		return nil, err
	}
	if err := c.checkVersion(b.steps); err != nil {
		return nil, errors.Join(err, c.close())
	}
	if err := cmp.Or(c.check(context.Background()), c.checkColumns(b.steps)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	b.r.Copy = made.ModTime()
	return c, nil
}

func duplicate(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// salvage puts what can be read of the damaged file into c, at the version of the
// schema that the file has.
func (b *builder) salvage(c *conn) error {
	if !exists(b.r.File) {
		return nil
	}
	mendHeader(b.r.File, len(b.steps), b.damagedPage())
	walMended := mendWAL(b.r.File + "-wal")
	from, err := openDamaged(b.r.File)
	if err != nil {
		b.r.Gaps = true
		return nil // it is so damaged that nothing of it can be read
	}
	defer func() { _ = from.close() }() // it has read only
	has, err := from.versionOf("damaged")
	have, err2 := c.version()
	if err != nil || err2 != nil || has < have || has > len(b.steps) {
		b.r.Gaps = true
		return nil
	}
	if err := c.migrate(b.steps[:has]); err != nil {
		return err
	}
	s := salvage{from: from, to: c, newer: b.keep.Newer}
	err = s.run()
	b.r.Salvaged, b.r.Gaps = s.rows, s.gaps || walMended
	return err
}

// damagedPage is how large the pages of the damaged file are, by what can be read of it,
// of its WAL, or of its copy, which has the same.
func (b *builder) damagedPage() int {
	for _, place := range []struct {
		file string
		at   int64
		size int
	}{{b.r.File, 16, 2}, {b.r.File + "-wal", 8, 4}, {copyOf(b.r.File), 16, 2}} {
		if n := numberAt(place.file, place.at, place.size); n == defaultPage || n == b.pageSize {
			return n
		}
	}
	return b.pageSize
}

// numberAt is a big-endian number in a file, 0 if it cannot be read.
func numberAt(file string, at int64, size int) (n int) {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	data := make([]byte, size)
	if _, err := f.ReadAt(data, at); err != nil {
		return 0
	}
	for _, b := range data {
		n = n<<8 | int(b)
	}
	return n
}

// mendHeader writes those bytes of the header that are the same in every database of
// ours with pages of that size, if the rest of it looks like one, and the number of pages
// of a file that was cut: SQLite would read nothing. What cannot be written stays, and is
// not read.
func mendHeader(file string, versions, pageSize int) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer f.Close()
	// https://www.sqlite.org/fileformat2.html#the_database_header
	head := make([]byte, 101)
	if _, err := io.ReadFull(f, head); err != nil {
		return
	}
	version := binary.BigEndian.Uint32(head[60:])
	if root := head[100]; root != 0x05 && root != 0x0d || version < 1 || int64(version) > int64(versions) {
		return
	}
	// The size of pages, WAL, nothing reserved; schema format 4, UTF-8.
	first := binary.BigEndian.AppendUint16([]byte(header), uint16(pageSize))
	_, _ = f.WriteAt(append(first, "\x02\x02\x00\x40\x20\x20"...), 0)
	_, _ = f.WriteAt([]byte{0, 0, 0, 4}, 44)
	_, _ = f.WriteAt([]byte{0, 0, 0, 1}, 56)
	if info, err := f.Stat(); err == nil && info.Size()/int64(pageSize) < int64(binary.BigEndian.Uint32(head[28:])) {
		_, _ = f.WriteAt(binary.BigEndian.AppendUint32(nil, uint32(info.Size()/int64(pageSize))), 28)
	}
}

// within runs f in a transaction of its own.
func (c *conn) within(f func(tx *Tx) error) error {
	if err := c.control("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	tx := &Tx{conn: c, ctx: context.Background()}
	err := f(tx)
	tx.end()
	if err != nil {
		return fmt.Errorf("%w%s", err, c.undone())
	}
	return c.control("COMMIT")
}

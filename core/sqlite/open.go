package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// finding is what stands on the disk before SQLite has touched it.
type finding struct {
	exists  bool
	unclean bool  // there is a WAL: the last process did not close the database
	size    int64 // of the file, in bytes
	wal     int64 // of the WAL, in bytes
}

const header = "SQLite format 3\x00"

// inspect looks for the damage that SQLite takes for something else: it opens an
// empty file as a new database (and deletes the WAL beside it), and reads a WAL
// up to the first fault and forgets the rest.
func inspect(file string) (finding, error) {
	wal, err := size(file + "-wal")
	if err != nil {
		return finding{}, err
	}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		if wal > 0 {
			return finding{}, fmt.Errorf("%w: the file is gone, but %s-wal is there, with committed rows", ErrCorrupt, filepath.Base(file))
		}
		return finding{}, nil
	}
	if err != nil {
		return finding{}, err
	}
	if !info.Mode().IsRegular() {
		return finding{}, fmt.Errorf("it is not a regular file")
	}
	if err := checkHeader(file, info.Size()); err != nil {
		return finding{}, err
	}
	if wal > 0 {
		if err := checkWAL(file + "-wal"); err != nil {
			return finding{}, err
		}
	}
	return finding{exists: true, unclean: wal > 0, size: info.Size(), wal: wal}, nil
}

// size returns the size of a file in bytes, 0 if there is none.
func size(file string) (int64, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// checkHeader wants the first bytes of a database. SQLite would take them from
// the WAL if they are there too, and find zeros for pages later.
func checkHeader(file string, size int64) error {
	if size == 0 {
		return fmt.Errorf("%w: the file is empty, and a database never is", ErrCorrupt)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	first := make([]byte, len(header))
	if _, err := io.ReadFull(f, first); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if string(first) != header {
		return fmt.Errorf("%w: the file does not begin as a database does", ErrCorrupt)
	}
	return nil
}

// create makes a database beside file and renames it, so that a file of that name
// is never an unfinished one, whenever the power goes.
func create(file string, pageSize int, steps []migration) error {
	temp := file + ".new"
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} { // of a creation that was cut short
		if err := os.Remove(temp + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	c, err := openEmpty(temp, pageSize)
	if err != nil {
		return err
	}
	if err := errors.Join(c.migrate(steps), c.close()); err != nil {
		return err
	}
	return publish(temp, file)
}

// publish gives the finished file temp its name, durably.
func publish(temp, file string) error {
	if left, err := size(temp + "-wal"); err != nil {
		return err
	} else if left > 0 {
		return fmt.Errorf("%w: %s-wal could not be taken into the file", ErrIO, temp)
	}
	if err := fsync(temp); err != nil {
		return err
	}
	if err := os.Rename(temp, file); err != nil {
		return err
	}
	return fsync(filepath.Dir(file))
}

// fsync makes the contents of a file or folder durable.
func fsync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openChecked opens the connection that writes, having checked what is in the file
// and brought its schema up to date.
func openChecked(o Options, found finding, steps []migration) (*conn, error) {
	if found.exists {
		if err := upgrade(o, found, steps); err != nil {
			return nil, err
		}
	}
	c, err := openLasting(o.File, writes)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(c.limit(o.MaxBytes), c.limitWAL(o.MaxWAL)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// upgrade checks a file that was there, and migrates it.
func upgrade(o Options, found finding, steps []migration) (err error) {
	c, err := openLasting(o.File, migrates)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.checkVersion(steps); err != nil {
		return err
	}
	if err := c.tryWriting(); err != nil {
		return err
	}
	if found.size+found.wal <= o.CheckLimit {
		if err := cmp.Or(c.check(context.Background()), c.checkColumns(steps)); err != nil {
			return err
		}
	}
	return c.migrate(steps)
}

// tryWriting begins a write and takes it back. SQLite opens what it cannot write for
// reading, in silence, and even begins a transaction that is meant to write.
func (c *conn) tryWriting() error {
	if err := c.control("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	return errors.Join(c.exec("PRAGMA user_version=0"), c.control("ROLLBACK"))
}

// limit bounds the file; one that is larger already stays as large as it is.
func (c *conn) limit(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	size, err := c.pageSize()
	if err != nil {
		return err
	}
	return c.exec(fmt.Sprintf("PRAGMA max_page_count=%d", max(1, bytes/size)))
}

// pageSize is that of the file, in bytes.
func (c *conn) pageSize() (size int64, err error) {
	text, err := c.text("PRAGMA page_size")
	if err == nil {
		_, err = fmt.Sscan(text, &size)
	}
	if err != nil {
		return 0, fmt.Errorf("read the page size: %w", err)
	}
	return size, nil
}

// limitWAL bounds the WAL, in bytes, and what is left of one that grew longer.
func (c *conn) limitWAL(bytes int64) error {
	if bytes <= 0 {
		return nil
	}
	size, err := c.pageSize()
	if err != nil {
		return err
	}
	size += walFrameSize
	pages := max(16, bytes/size)
	return c.exec(fmt.Sprintf("PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=%d", pages, 2*pages*size))
}

// check walks the structure of the whole database: 0.4 to 0.7 s for 270 MB that the
// system has in memory, else the time to read them.
func (c *conn) check(ctx context.Context) error {
	faults, err := c.lines(ctx, "PRAGMA quick_check(3)") // three faults are enough to tell of
	if err != nil {
		return err
	}
	if len(faults) != 1 || faults[0] != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, strings.Join(faults, "; "))
	}
	return nil
}

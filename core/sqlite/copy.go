package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Copy writes the database as it stands, in one consistent state and without free
// space, to file, in place of what may be there: at every instant, and after a
// power cut, file is either the old or the new copy. The folder must exist. Reading
// the rows for it also finds most damage (ErrCorrupt), in which case an older copy
// is left alone.
//
// It takes a connection as a View does, and as long as it takes: commits go on, and
// the WAL grows with them.
func (db *DB) Copy(ctx context.Context, file string) error {
	// The connection of the pool only counts: SQLite takes what a copy writes for
	// a write, and those of the pool must not.
	err := db.read(ctx, func(*conn) error {
		c, err := openLasting(db.o.File, writes)
		if err != nil {
			return err
		}
		return errors.Join(c.copy(ctx, file), c.close())
	})
	if err != nil {
		return fmt.Errorf("copy the database %s to %s: %w", db.o.File, file, err)
	}
	return nil
}

func (c *conn) copy(ctx context.Context, file string) error {
	temp := file + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// SQLite writes into an empty file too; made here, it has our mode.
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s, err := c.stmt("VACUUM INTO ?")
	if err != nil {
		return err
	}
	bound, err := c.bind([]any{temp})
	if err != nil {
		return err
	}
	if _, err := s.raw.ExecContext(ctx, bound); err != nil {
		return errors.Join(classify(err), os.Remove(temp))
	}
	return publish(temp, file)
}

package sqlite

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

const (
	// busyTimeout is how long a statement waits for a lock of another process:
	// a backup, or somebody's sqlite3 shell.
	busyTimeout = 5 * time.Second
	// defaultPage is the size of a page in bytes, where nothing else is asked for.
	defaultPage = 4096
	// walPages is the length of the WAL, in pages, at which a commit also moves it
	// into the database file.
	walPages = 1000
	// walBytes is what is left of a WAL that grew longer behind a slow reader.
	walBytes = 8 << 20
)

// role says what a connection is for.
type role int

const (
	writes role = iota
	reads
	migrates // as writes, but foreign keys are off, as SQLite's recipe for changing a table demands
)

// conn is one connection to a file, with its prepared statements. One goroutine
// at a time uses it.
//
// It speaks to the driver and not through database/sql, which more than halves
// the cost: 100 rows of 200 bytes in a commit, prepared, 3 runs in turn on the
// same disk: database/sql 72, 96 and 107 thousand rows/s and 6.2 allocations a
// row; the driver's Exec 73, 226 and 263 (3.0); the driver's Query, which binds
// and steps in one crossing into C, 217, 283 and 287 (2.0).
type conn struct {
	raw   *sqlite3.SQLiteConn
	stmts map[string]*stmt
	args  []driver.NamedValue // scratch of one call
	undos uint64              // how often something written was undone
}

// openConn opens an existing file and reads the guarantees back. The pragmas go
// into the DSN, or run here: a pragma binds the connection that it ran on only.
func openConn(file string, r role) (*conn, error) {
	q := url.Values{
		"mode":          {"rw"}, // never create: see create
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"on"},
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_txlock":       {"immediate"},
		"_mutex":        {"no"}, // one goroutine at a time
	}
	switch r {
	case reads:
		q.Set("_query_only", "on")
		q.Set("_txlock", "deferred")
	case migrates:
		q.Set("_foreign_keys", "off")
	}
	dsn := uri(file, q)
	raw, err := (&sqlite3.SQLiteDriver{}).Open(dsn)
	if err != nil {
		return nil, classify(err)
	}
	c := &conn{raw: raw.(*sqlite3.SQLiteConn), stmts: make(map[string]*stmt)}
	if err := cmp.Or(c.exec(settings), c.verify(r)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// openEmpty makes a file and opens it as a database that has nothing but the size of its
// pages: that can be chosen only before there is a page.
func openEmpty(file string, pageSize int) (*conn, error) {
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return nil, err
	}
	raw, err := (&sqlite3.SQLiteDriver{}).Open(uri(file, url.Values{"mode": {"rw"}, "_mutex": {"no"}}))
	if err != nil {
		return nil, classify(err)
	}
	c := &conn{raw: raw.(*sqlite3.SQLiteConn)}
	err = c.exec(fmt.Sprintf("PRAGMA page_size=%d; PRAGMA application_id=0", pageSize)) // which writes a page
	if err := errors.Join(err, c.close()); err != nil {
		return nil, err
	}
	if n := numberAt(file, 16, 2); n != pageSize {
		return nil, fmt.Errorf("make pages of %d bytes: SQLite makes them of %d", pageSize, n)
	}
	return openConn(file, migrates)
}

// uri names a file and how it is opened.
func uri(file string, q url.Values) string {
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + q.Encode()
}

// openDamaged opens a database in memory with the file attached as "damaged", for
// reading: only so can SQLite be told, before it looks at the file, that it may go on
// with those tables whose definitions it can read.
func openDamaged(file string) (*conn, error) {
	raw, err := (&sqlite3.SQLiteDriver{}).Open(":memory:?_mutex=no")
	if err != nil {
		return nil, classify(err)
	}
	c := &conn{raw: raw.(*sqlite3.SQLiteConn), stmts: make(map[string]*stmt)}
	err = c.exec("PRAGMA writable_schema=ON; PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;" +
		" ATTACH " + literal(uri(file, url.Values{"mode": {"ro"}})) + " AS damaged; PRAGMA query_only=ON")
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// settings are what the DSN cannot say.
var settings = fmt.Sprintf("PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=%d; PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF",
	walPages, walBytes)

// verify reads back what the guarantees rest on: SQLite says nothing about a pragma
// that it did not understand or could not follow.
func (c *conn) verify(r role) error {
	want := []struct{ pragma, value string }{
		{"journal_mode", "wal"},
		{"synchronous", "2"}, // FULL
		{"foreign_keys", "1"},
		{"busy_timeout", fmt.Sprint(busyTimeout.Milliseconds())},
		{"query_only", "0"},
	}
	switch r {
	case migrates:
		want[2].value = "0"
	case reads:
		want[4].value = "1"
	}
	for _, w := range want {
		got, err := c.text("PRAGMA " + w.pragma)
		if err != nil {
			return err
		}
		if got != w.value {
			return fmt.Errorf("set %s: it is %q, and must be %q", w.pragma, got, w.value)
		}
	}
	return nil
}

// exec runs SQL text without arguments, several statements if need be.
func (c *conn) exec(sql string) error {
	_, err := c.raw.Exec(sql, nil)
	return classify(err)
}

// text returns the first column of the first row as text.
func (c *conn) text(sql string) (string, error) {
	lines, err := c.lines(context.Background(), sql)
	if err == nil && len(lines) == 0 {
		err = ErrNoRows
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", sql, err)
	}
	return lines[0], nil
}

// lines returns the first column of all rows as text.
func (c *conn) lines(ctx context.Context, sql string) ([]string, error) {
	rows, err := c.raw.QueryContext(ctx, sql, nil)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var lines []string
	values := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, classify(err)
		}
		if b, ok := values[0].([]byte); ok {
			values[0] = string(b)
		}
		lines = append(lines, fmt.Sprint(values[0]))
	}
}

// inTx reports whether a transaction is open. SQLite ends one by itself when the
// disk is full or fails.
func (c *conn) inTx() bool { return !c.raw.AutoCommit() }

func (c *conn) close() error {
	for _, s := range c.stmts {
		s.raw.Close() // the connection stays half open while one is left
	}
	c.stmts = nil
	return classify(c.raw.Close())
}

// control runs a prepared statement without arguments or rows: BEGIN and its kind.
func (c *conn) control(sql string) error {
	s, err := c.stmt(sql)
	if err != nil {
		return err
	}
	_, err = s.raw.ExecContext(context.Background(), nil)
	return classify(err)
}

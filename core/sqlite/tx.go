package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"
)

// Tx is the transaction in which a function runs: the group's, or the snapshot of
// a View. It ends with the function. Statements are prepared once per connection
// and text, so that texts should be constants, with values as arguments.
//
// Arguments are nil, bool, string, []byte, integers and floats, types of those
// kinds and driver.Valuers. A time is refused, since SQLite has no type for it:
// pass its UnixMilli. Declare columns INTEGER, TEXT, REAL or BLOB: the driver
// turns other declared types (DATETIME, BOOLEAN) into values of its own.
type Tx struct {
	conn   *conn // nil once the function has returned
	ctx    context.Context
	rows   []*Rows // that may still be open
	wrote  bool    // a statement that can change the database has run
	failed error   // of the last statement that failed
}

// Exec runs one statement to its end, and throws away rows that it returns.
func (tx *Tx) Exec(sql string, args ...any) error {
	s, rows, err := tx.start(sql, args)
	if err != nil {
		return err
	}
	rows.Close()
	s.end()
	return nil
}

// Changes returns how many rows the last INSERT, UPDATE or DELETE changed.
func (tx *Tx) Changes() (n int64, err error) {
	err = tx.QueryRow("SELECT changes()").Scan(&n)
	return n, err
}

// LastInsertID returns the rowid of the last row inserted on this connection.
func (tx *Tx) LastInsertID() (id int64, err error) {
	err = tx.QueryRow("SELECT last_insert_rowid()").Scan(&id)
	return id, err
}

// Undone is a number that rises whenever something that functions wrote is undone: what
// one of them remembers of the database holds for those behind it while it is the same,
// if nobody else writes.
func (tx *Tx) Undone() uint64 { return tx.conn.undos }

// Query runs one statement and returns its rows. A statement that changes the
// database (INSERT ... RETURNING) has done all its changes when Query returns.
func (tx *Tx) Query(sql string, args ...any) (*Rows, error) {
	s, raw, err := tx.start(sql, args)
	if err != nil {
		return nil, err
	}
	s.open = true
	r := &Rows{tx: tx, stmt: s, raw: raw, values: make([]driver.Value, len(raw.Columns()))}
	if n := len(tx.rows); n > 0 && tx.rows[n-1].raw == nil {
		tx.rows[n-1] = r // closed: a loop of queries need not be remembered whole
	} else {
		tx.rows = append(tx.rows, r)
	}
	return r, nil
}

// QueryRow runs a statement of which the first row counts. Errors come from Scan.
func (tx *Tx) QueryRow(sql string, args ...any) Row {
	rows, err := tx.Query(sql, args...)
	return Row{rows: rows, err: err}
}

// start binds the arguments and takes the first step.
func (tx *Tx) start(sql string, args []any) (*stmt, driver.Rows, error) {
	if tx.conn == nil {
		return nil, nil, ErrTxEnded
	}
	s, err := tx.conn.stmt(sql)
	if err != nil {
		return nil, nil, err
	}
	if !s.admitted {
		if err := admit(sql); err != nil {
			s.end()
			return nil, nil, err
		}
		s.admitted = true
	}
	if n := s.raw.NumInput(); n != len(args) {
		s.end()
		return nil, nil, fmt.Errorf("run %q: %d arguments for %d places", sql, len(args), n)
	}
	bound, err := tx.conn.bind(args)
	if err != nil {
		s.end()
		return nil, nil, fmt.Errorf("run %q: %w", sql, err)
	}
	tx.wrote = tx.wrote || !s.readOnly
	rows, err := s.raw.QueryContext(tx.ctx, bound)
	clear(bound) // SQLite has its own copy; do not keep payloads alive
	if err != nil {
		s.end()
		tx.failed = fmt.Errorf("run %q: %w", sql, classify(err))
		return nil, nil, tx.failed
	}
	return s, rows, nil
}

// bind turns arguments into those of the driver, in c.args.
func (c *conn) bind(args []any) ([]driver.NamedValue, error) {
	bound := c.args[:0]
	for i, arg := range args {
		v := driver.NamedValue{Ordinal: i + 1, Value: arg}
		switch a := arg.(type) {
		case nil, int64, string, []byte, bool, float64:
		case int:
			v.Value = int64(a)
		case time.Time:
			return nil, fmt.Errorf("argument %d is a time: pass its UnixMilli", i+1)
		default:
			value, err := driver.DefaultParameterConverter.ConvertValue(arg)
			if err != nil {
				return nil, fmt.Errorf("argument %d: %w", i+1, err)
			}
			v.Value = value
		}
		bound = append(bound, v)
	}
	c.args = bound
	return bound, nil
}

// end closes what the function left open, and makes the Tx useless.
func (tx *Tx) end() {
	for _, r := range tx.rows {
		if r.raw != nil {
			r.Close()
			r.err = ErrTxEnded
		}
	}
	tx.conn, tx.rows = nil, nil
}

// Rows are the rows of a Query: for r.Next() { r.Scan(...) }, then r.Err(). They
// close themselves at their end, at an error, and when the function returns.
type Rows struct {
	tx     *Tx
	stmt   *stmt
	raw    driver.Rows // nil once closed
	values []driver.Value
	err    error
}

// Next moves to the next row, and reports whether there is one.
func (r *Rows) Next() bool {
	if r.raw == nil {
		return false
	}
	if err := r.raw.Next(r.values); err != nil {
		if !errors.Is(err, io.EOF) {
			r.err = classify(err)
			r.tx.failed = r.err
		}
		r.Close()
		return false
	}
	return true
}

// Scan puts the values of the row into the variables that dest points to, as
// database/sql does: *int64, *int, *float64, *bool, *string, *[]byte (a copy of
// its own), *any, sql.Scanners such as *sql.Null[T], and types of those kinds. A
// NULL fits *[]byte and *any, as nil, and Scanners.
func (r *Rows) Scan(dest ...any) error {
	if r.raw == nil {
		return ErrTxEnded
	}
	return scan(r.values, dest)
}

// Err returns the error that ended the rows; nil when they were all read.
func (r *Rows) Err() error { return r.err }

// Close ends the reading before the last row. It may be called again.
func (r *Rows) Close() {
	if r.raw == nil {
		return
	}
	r.raw.Close() // its only error is that of the step that has been told already
	r.raw = nil
	r.stmt.end()
}

// Row is the result of QueryRow.
type Row struct {
	rows *Rows
	err  error
}

// Scan is as Rows.Scan, for the one row. ErrNoRows says that there is none.
func (r Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if r.rows.Next() {
		return r.rows.Scan(dest...)
	}
	if err := r.rows.Err(); err != nil {
		return err
	}
	return ErrNoRows
}

package sqlite

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// salvage reads a damaged database row by row, around the pages that are damaged, and
// writes what it finds into a sound one. SQLite's own recovery, which reads the pages
// without their tree, is not part of the library.
type salvage struct {
	from, to *conn
	newer    map[string]string // see Keep

	rows int64 // taken over
	gaps bool  // something could not be read or written
}

const (
	// salvageProbes bounds the attempts in a row that find no readable rows of a table
	// behind a damaged page. One takes some 50 µs.
	salvageProbes = 1000
	// salvageGroup is how many rows are committed together, so that the WAL stays short.
	salvageGroup = 4096
)

// run takes over all tables of the sound database that the damaged one has too. Its
// error is that of writing; what cannot be read is left out.
func (s *salvage) run() error {
	tables, err := s.to.lines(context.Background(), "SELECT name FROM pragma_table_list"+
		" WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
	if err != nil {
		return err
	}
	for _, name := range tables {
		t, err := s.table(name)
		if err != nil {
			return err
		}
		if err := t.run(); err != nil {
			return fmt.Errorf("take over the table %s: %w", name, err)
		}
	}
	return nil
}

// salvageTable is one table.
type salvageTable struct {
	*salvage
	up, down string // SELECTs: of the rowids between two numbers, or of the whole table
	rowid    bool   // it has one, and is read in pieces
	insert   string
	open     int // rows that are not committed
}

func (s *salvage) table(name string) (*salvageTable, error) {
	columns, err := s.to.columns("main", name, "cid")
	if err != nil {
		return nil, err
	}
	key, err := s.to.columns("main", name, "pk")
	if err != nil {
		return nil, err
	}
	// A name may be what is damaged; the columns are the same ones then.
	theirs, theirKey := columns, key
	if c, err := s.from.columns("damaged", name, "cid"); err == nil && len(c) == len(columns) {
		theirs = c
	}
	if k, err := s.from.columns("damaged", name, "pk"); err == nil && len(k) == len(key) {
		theirKey = k
	}
	without, err := s.to.text("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = " + literal(name))
	if err != nil {
		return nil, err
	}
	t := &salvageTable{salvage: s, rowid: without == "0"}
	all, read := strings.Join(columns, ", "), strings.Join(theirs, ", ")
	if t.rowid {
		// NOT INDEXED: an index may be damaged where the table is not.
		t.up = fmt.Sprintf("SELECT rowid, %s FROM damaged.%s NOT INDEXED WHERE rowid BETWEEN ? AND ? ORDER BY rowid", read, quote(name))
		t.down = t.up + " DESC"
	} else {
		t.up = fmt.Sprintf("SELECT 0, %s FROM damaged.%s ORDER BY ", read, quote(name))
		t.up, t.down = t.up+strings.Join(theirKey, ", "), t.up+strings.Join(theirKey, " DESC, ")+" DESC"
	}
	places := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	if newer := s.newer[name]; newer != "" {
		set := make([]string, len(columns))
		for i, c := range columns {
			set[i] = c + " = excluded." + c
		}
		t.insert = fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT DO UPDATE SET %s WHERE excluded.%s >= %s.%s",
			quote(name), all, places, strings.Join(set, ", "), quote(newer), quote(name), quote(newer))
	} else {
		t.insert = fmt.Sprintf("INSERT OR REPLACE INTO %s (%s) VALUES (%s)", quote(name), all, places)
	}
	return t, nil
}

// columns are the names of the columns, quoted, or those of the primary key.
func (c *conn) columns(schema, table, order string) ([]string, error) {
	sql := "SELECT name FROM pragma_table_info(" + literal(table) + ", " + literal(schema) + ")"
	if order == "pk" {
		sql += " WHERE pk > 0"
	}
	names, err := c.lines(context.Background(), sql+" ORDER BY "+order)
	for i := range names {
		names[i] = quote(names[i])
	}
	return names, err
}

func quote(name string) string   { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func literal(name string) string { return "'" + strings.ReplaceAll(name, "'", "''") + "'" }

// run reads the table from both ends up to the damage, and then looks between, in
// ever smaller pieces, for what lies behind it.
func (t *salvageTable) run() error {
	if err := t.to.control("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	pieces := []piece{{0, math.MaxInt64}} // SQLite gives no rowid below 1, and we none below 0
	for vain := 0; len(pieces) > 0 && vain < salvageProbes; vain++ {
		p := pieces[0]
		pieces = pieces[1:]
		before := t.rows
		whole, err := t.read(t.up, &p.from, 1, p)
		if err != nil {
			return err
		}
		if whole {
			continue
		}
		t.gaps = true
		if whole, err = t.read(t.down, &p.to, -1, p); err != nil {
			return err
		}
		if !whole && t.rowid && p.from < p.to {
			middle := p.from + (p.to-p.from)/2
			if p.to == math.MaxInt64 && p.from < 1<<40 { // where the rows end is not known: look near first
				middle = 2*p.from + 4096
			}
			pieces = append(pieces, piece{p.from, middle}, piece{middle + 1, p.to})
		}
		if t.rows > before {
			vain = 0
		}
	}
	t.open = 0
	return t.to.control("COMMIT")
}

// piece is a range of rowids that are not yet read.
type piece struct{ from, to int64 }

// read takes over the rows of p in one direction up to the damage, and moves end of it
// to behind the last one. It reports whether there was no damage.
func (t *salvageTable) read(sql string, end *int64, step int64, p piece) (whole bool, err error) {
	tx := &Tx{conn: t.from, ctx: context.Background()}
	defer tx.end()
	var args []any
	if t.rowid {
		args = []any{p.from, p.to}
	}
	rows, err := tx.Query(sql, args...)
	if err != nil {
		return false, nil
	}
	for rows.Next() {
		if t.rowid {
			id, ok := rows.values[0].(int64)
			if !ok || (id-*end)*step < 0 {
				return false, nil // a tree that leads round in circles
			}
			if err := t.take(rows); err != nil {
				return false, err
			}
			if id == p.from && step < 0 || id == p.to && step > 0 {
				return true, nil
			}
			*end = id + step
		} else if err := t.take(rows); err != nil {
			return false, err
		}
	}
	return rows.Err() == nil, nil
}

// take writes one row.
func (t *salvageTable) take(rows *Rows) error {
	to := &Tx{conn: t.to, ctx: context.Background()}
	defer to.end()
	args := make([]any, len(rows.values)-1)
	for i, v := range rows.values[1:] {
		args[i] = v
	}
	switch err := to.Exec(t.insert, args...); {
	case err == nil:
		t.rows++
	case OfDisk(err) || !t.to.inTx():
		return err
	default:
		t.gaps = true // the schema does not take what stands there
	}
	if t.open++; t.open < salvageGroup {
		return nil
	}
	t.open = 0
	if err := t.to.control("COMMIT"); err != nil {
		return err
	}
	return t.to.control("BEGIN IMMEDIATE")
}

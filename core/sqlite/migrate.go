package sqlite

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// migration leads from version-1 of a schema to version.
type migration struct {
	version int
	name    string // of the file
	sql     string
}

var migrationName = regexp.MustCompile(`^([0-9]{2,})-[a-z0-9-]+\.sql$`)

// readMigrations reads the files NN-name.sql in the root of files, which nil has
// none of. A name of another form, and a number that is not one more than the one
// before, is a fault of the program and an error.
func readMigrations(files fs.FS) ([]migration, error) {
	if files == nil {
		return nil, nil
	}
	entries, err := fs.ReadDir(files, ".") // sorted by name
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	var steps []migration
	for _, e := range entries {
		parts := migrationName.FindStringSubmatch(e.Name())
		if parts == nil {
			return nil, fmt.Errorf("read the migrations: %s is not named NN-name.sql", e.Name())
		}
		version, err := strconv.Atoi(parts[1])
		if err != nil || version != len(steps)+1 {
			return nil, fmt.Errorf("read the migrations: %s stands where %02d-... belongs", e.Name(), len(steps)+1)
		}
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the migrations: %w", err)
		}
		steps = append(steps, migration{version, e.Name(), string(text)})
	}
	return steps, nil
}

// version returns the version of the schema, which is 0 before the first migration.
func (c *conn) version() (int, error) {
	return c.versionOf("main")
}

// versionOf is version of an attached database.
func (c *conn) versionOf(schema string) (int, error) {
	text, err := c.text("PRAGMA " + schema + ".user_version")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// migrate runs the steps that c's database has not seen, each in a transaction of
// its own with the version that it leads to, so that a power cut leaves the
// database between two steps. c has foreign keys off, as a step that rebuilds a
// table needs it (https://www.sqlite.org/lang_altertable.html, section 7), and
// each step ends with a check of all of them.
func (c *conn) migrate(steps []migration) error {
	have, err := c.version()
	if err != nil {
		return err
	}
	for _, s := range steps[min(have, len(steps)):] {
		if err := c.step(s); err != nil {
			return fmt.Errorf("migrate the schema with %s: %w", s.name, err)
		}
	}
	return nil
}

func (c *conn) step(s migration) (err error) {
	if err := c.control("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil && c.inTx() {
			err = fmt.Errorf("%w%s", err, c.undone())
		}
	}()
	if err := c.exec(s.sql); err != nil {
		return err
	}
	if !c.inTx() {
		return fmt.Errorf("the file ends the transaction that it runs in")
	}
	if err := c.checkForeignKeys(); err != nil {
		return err
	}
	if err := c.exec(fmt.Sprintf("PRAGMA user_version=%d", s.version)); err != nil {
		return err
	}
	return c.control("COMMIT")
}

// undone rolls back, and says so if it does not work.
func (c *conn) undone() string {
	if err := c.control("ROLLBACK"); err != nil {
		return fmt.Sprintf(" (and roll back: %v)", err)
	}
	return ""
}

func (c *conn) checkForeignKeys() error {
	text, err := c.text(`SELECT coalesce((SELECT "table" || ' refers to a missing row of ' || parent FROM pragma_foreign_key_check LIMIT 1), '')`)
	if err != nil {
		return err
	}
	if text != "" {
		return fmt.Errorf("%w: %s", ErrConstraint, text)
	}
	return nil
}

const columns = "SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c" +
	" WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY 1"

// checkColumns wants the columns of the schema's version: SQLite keeps their names as
// text, in which a flipped bit is no damage to it.
func (c *conn) checkColumns(steps []migration) error {
	have, err := c.version()
	if err != nil || len(steps) == 0 {
		return err
	}
	raw, err := (&sqlite3.SQLiteDriver{}).Open(":memory:?_mutex=no")
	if err != nil {
		return classify(err)
	}
	fresh := &conn{raw: raw.(*sqlite3.SQLiteConn), stmts: make(map[string]*stmt)}
	defer func() { _ = fresh.close() }() // it is in memory
	if err := fresh.migrate(steps[:have]); err != nil {
		return err
	}
	want, err := fresh.lines(context.Background(), columns)
	if err != nil {
		return err
	}
	got, err := c.lines(context.Background(), columns)
	if err != nil {
		return err
	}
	for _, column := range want {
		if _, found := slices.BinarySearch(got, column); !found {
			return fmt.Errorf("%w: the column %s is gone", ErrCorrupt, column)
		}
	}
	return nil
}

// checkVersion refuses a schema that is not one of ours: a file that exists was
// made by create, which leaves the last version of its time.
func (c *conn) checkVersion(steps []migration) error {
	have, err := c.version()
	switch {
	case err != nil || len(steps) == 0:
		return err
	case have > len(steps):
		return fmt.Errorf("%w: its schema has version %d, this program knows up to %d; install the program that wrote it, or a later one",
			ErrNewer, have, len(steps))
	case have < 1:
		return fmt.Errorf("%w: it is a database, but without the version of a schema of ours", ErrCorrupt)
	}
	return nil
}

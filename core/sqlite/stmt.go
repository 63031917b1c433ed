package sqlite

import (
	"fmt"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// maxStatements bounds the prepared statements that a connection keeps.
const maxStatements = 128

// stmt is a prepared statement.
type stmt struct {
	raw      *sqlite3.SQLiteStmt
	readOnly bool
	admitted bool // for the functions of callers
	kept     bool // else it ends with its rows
	open     bool // its rows are being read
}

// end gives the statement back.
func (s *stmt) end() {
	s.open = false
	if !s.kept {
		s.raw.Close()
	}
}

// stmt returns the prepared statement of the text: the one that is kept, unless
// its rows are being read at this moment by an outer loop.
func (c *conn) stmt(sql string) (*stmt, error) {
	s, known := c.stmts[sql]
	if known && !s.open {
		return s, nil
	}
	raw, err := c.raw.Prepare(sql)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", sql, classify(err))
	}
	s = &stmt{raw: raw.(*sqlite3.SQLiteStmt), kept: !known}
	s.readOnly = s.raw.Readonly()
	if s.kept {
		c.makeRoom()
		c.stmts[sql] = s
	}
	return s, nil
}

// makeRoom drops any statement when as many as may be are kept. A program writes
// a few dozen texts; more are put together at run time, and seldom come again.
func (c *conn) makeRoom() {
	if len(c.stmts) < maxStatements {
		return
	}
	for sql, s := range c.stmts {
		if !s.open {
			s.raw.Close()
			delete(c.stmts, sql)
			return
		}
	}
}

// forbidden are the statements that would break a group, or change what the
// connection was set to. What a PRAGMA tells, its table-valued function tells too:
// SELECT freelist_count FROM pragma_freelist_count.
var forbidden = []string{"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH", "VACUUM", "PRAGMA"}

// admit refuses texts that are not for a function: the forbidden ones, and those
// of several statements, of which SQLite would prepare the first only, in silence.
// A Tx asks once for each text that it prepares.
func admit(sql string) error {
	plain := strings.TrimSpace(bare(sql))
	first, rest, _ := strings.Cut(plain, ";")
	if strings.Trim(rest, "; \t\r\n") != "" {
		return fmt.Errorf("run %q: more than one statement", sql)
	}
	word := strings.ToUpper(first)
	if end := strings.IndexFunc(word, func(r rune) bool { return r < 'A' || r > 'Z' }); end >= 0 {
		word = word[:end]
	}
	if word == "" {
		return fmt.Errorf("run %q: no statement", sql)
	}
	if slices.Contains(forbidden, word) {
		return fmt.Errorf("run %q: %s is not for a function", sql, word)
	}
	return nil
}

// bare returns the text without its comments and the insides of its quotes.
func bare(sql string) string {
	var b strings.Builder
	for sql != "" {
		end := ""
		switch {
		case strings.HasPrefix(sql, "--"):
			end = "\n"
		case strings.HasPrefix(sql, "/*"):
			end = "*/"
		case strings.ContainsAny(sql[:1], "'\"`"):
			end = sql[:1] // a doubled quote is the end of one and the start of another
		case sql[0] == '[':
			end = "]"
		default:
			b.WriteByte(sql[0])
			sql = sql[1:]
			continue
		}
		b.WriteByte(' ')
		_, sql, _ = strings.Cut(sql[min(len(sql), len(end)):], end)
	}
	return b.String()
}

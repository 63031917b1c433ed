package telemetry

import (
	"strings"

	"greengate/core/sqlite"
)

// laneID is a priority as the database has it: a table each, the first goes first.
type laneID int

const lanes laneID = 3

var laneOf = [...]laneID{High: 0, Normal: 1, Low: 2}
var priorityOf = [lanes]Priority{High, Normal, Low}

// laneSQL are the statements of one lane.
type laneSQL struct {
	first, last string                // seq; 0 when it is empty
	read        string                // the rows after one
	heads       string                // the heads of the rows after one, and how long their bodies are
	one         string                // head and body of one
	count       string                // how many there are between two
	insert      [len(stepRows)]string // of that many rows
	remove      [len(stepRows)]string // likewise
}

// stepRows is how many rows an INSERT or DELETE takes: binding and stepping many together
// halves the cost of a row.
var stepRows = [...]int{stepMost, 16, 1}

const stepMost = 128

const sqlQuarantined = "SELECT count(*), coalesce(sum(octet_length(topic) + length(payload)), 0) FROM quarantine"

func places(rows int) string {
	const row = "(?, ?, ?)"
	return strings.Repeat(row+", ", rows-1) + row
}

var statements = func() (all [lanes]laneSQL) {
	for lane := range lanes {
		table := "messages_" + priorityOf[lane].String()
		after := " FROM " + table + " WHERE seq > ? ORDER BY seq LIMIT ?"
		all[lane] = laneSQL{
			first: "SELECT coalesce(min(seq), 0) FROM " + table,
			last:  "SELECT coalesce(max(seq), 0) FROM " + table,
			read:  "SELECT seq, head, body" + after,
			heads: "SELECT seq, head, length(body)" + after,
			one:   "SELECT head, body FROM " + table + " WHERE seq = ?",
			count: "SELECT count(*) FROM " + table + " WHERE seq BETWEEN ? AND ?",
		}
		for i, rows := range stepRows {
			all[lane].remove[i] = "DELETE FROM " + table + " WHERE seq IN (?" + strings.Repeat(", ?", rows-1) + ")"
			all[lane].insert[i] = "INSERT INTO " + table + " (seq, head, body) VALUES " + places(rows)
		}
	}
	return all
}()

func (l laneID) sql() *laneSQL { return &statements[l] }

// remove deletes rows of a lane, many to a statement.
func remove(tx *sqlite.Tx, lane laneID, seqs []int64) error {
	var args [stepMost]any
	for i, n := range stepRows {
		for ; len(seqs) >= n; seqs = seqs[n:] {
			for j, seq := range seqs[:n] {
				args[j] = seq
			}
			if err := tx.Exec(lane.sql().remove[i], args[:n]...); err != nil {
				return err
			}
		}
	}
	return nil
}

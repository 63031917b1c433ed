package telemetry

import "strings"

// laneID is a priority as the database has it: a table each, the first goes first.
type laneID int

const lanes laneID = 3

var laneOf = [...]laneID{High: 0, Normal: 1, Low: 2}
var priorityOf = [lanes]Priority{High, Normal, Low}

// laneSQL are the statements of one lane.
type laneSQL struct {
	first, last string // seq; 0 when it is empty
	read        string // the rows after one
	heads       string // the heads of the rows after one, and how long their bodies are
	one         string // head and body of one
	remove      string
	insert      [len(insertRows)]string // of that many rows
}

// insertRows is how many rows an INSERT takes: binding and stepping many together
// halves the cost of a row.
var insertRows = [...]int{128, 16, 1}

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
			first:  "SELECT coalesce(min(seq), 0) FROM " + table,
			last:   "SELECT coalesce(max(seq), 0) FROM " + table,
			read:   "SELECT seq, head, body" + after,
			heads:  "SELECT seq, head, length(body)" + after,
			one:    "SELECT head, body FROM " + table + " WHERE seq = ?",
			remove: "DELETE FROM " + table + " WHERE seq = ?",
		}
		for i, rows := range insertRows {
			all[lane].insert[i] = "INSERT INTO " + table + " (seq, head, body) VALUES " + places(rows)
		}
	}
	return all
}()

func (l laneID) sql() *laneSQL { return &statements[l] }

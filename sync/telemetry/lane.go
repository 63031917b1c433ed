package telemetry

import "strings"

// laneID is a priority as the database has it: a table each, the first goes first.
type laneID int

const lanes laneID = 3

var laneOf = [...]laneID{High: 0, Normal: 1, Low: 2}
var priorityOf = [lanes]Priority{High, Normal, Low}

// laneSQL are the statements of one lane.
type laneSQL struct {
	first, last         string // seq; 0 when it is empty
	read                string // the rows after one
	ages                string // what an end by time depends on, of the rows after one
	sizes               string // route and bytes of the rows after one
	remove, removeRange string
	insert              [2]string // of many rows and of one
	quarantine          string
}

const (
	columns     = "seq, source, topic, route, prev, mono, wall, ttl, flags, sum, properties, payload"
	columnCount = 12
	// insertRows is how many rows one INSERT takes: binding and stepping them
	// together halves the cost of a row.
	insertRows = 32

	sqlQuarantined = "SELECT count(*), coalesce(sum(octet_length(topic) + length(payload)), 0) FROM quarantine"
)

func places(rows int) string {
	row := "(" + strings.Repeat("?, ", columnCount-1) + "?)"
	return strings.Repeat(row+", ", rows-1) + row
}

var statements = func() (all [lanes]laneSQL) {
	for lane := range lanes {
		table := "messages_" + priorityOf[lane].String()
		insert := "INSERT INTO " + table + " (" + columns + ") VALUES "
		after := " FROM " + table + " WHERE seq > ? ORDER BY seq LIMIT ?"
		all[lane] = laneSQL{
			first:       "SELECT coalesce(min(seq), 0) FROM " + table,
			last:        "SELECT coalesce(max(seq), 0) FROM " + table,
			read:        "SELECT " + columns + after,
			ages:        "SELECT seq, route, mono, wall, ttl, flags, octet_length(topic) + length(payload)" + after,
			sizes:       "SELECT seq, route, octet_length(topic) + length(payload)" + after,
			remove:      "DELETE FROM " + table + " WHERE seq = ?",
			removeRange: "DELETE FROM " + table + " WHERE seq BETWEEN ? AND ?",
			insert:      [2]string{insert + places(insertRows), insert + places(1)},
			quarantine: "INSERT OR REPLACE INTO quarantine (seq, lane, route, reason, at, source, topic, mono, wall, ttl, flags, properties, payload)" +
				" SELECT seq, ?, ?, ?, ?, source, topic, mono, wall, ttl, flags, properties, payload FROM " + table + " WHERE seq = ?",
		}
	}
	return all
}()

func (l laneID) sql() *laneSQL { return &statements[l] }

// The flags of a row.
const (
	flagRetain = 1 << iota
	flagSynced // the clock was right when it came
)

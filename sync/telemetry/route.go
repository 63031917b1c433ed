package telemetry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"greengate/core/sqlite"
)

// Priority says which messages go first.
type Priority uint8

// The priorities. The zero value is Normal.
const (
	Normal Priority = iota
	High
	Low
)

var priorityNames = [...]string{Normal: "normal", High: "high", Low: "low"}

// String returns the word of the group file.
func (p Priority) String() string { return priorityNames[p] }

// ParsePriority reads the word of the group file; empty is normal.
func ParsePriority(s string) (Priority, error) {
	for p, name := range priorityNames {
		if s == name || s == "" {
			return Priority(p), nil
		}
	}
	return 0, fmt.Errorf("%q is no priority (write high, normal or low)", s)
}

// WhenFull says what a full spool does with a route's messages.
type WhenFull uint8

// The ways. The zero value is DropOldest. Each makes room among the messages of
// lower priorities first, however these are kept.
const (
	// DropOldest gives up the oldest messages of the same priority whose routes
	// do not keep their old ones.
	DropOldest WhenFull = iota
	// DropNewest gives up the message that comes.
	DropNewest
	// Thin keeps every n-th of the route's waiting messages, over and over, so that
	// a long time is covered ever more coarsely.
	Thin
)

var whenFullNames = [...]string{DropOldest: "drop_oldest", DropNewest: "drop_newest", Thin: "thin"}

// String returns the word of the group file.
func (w WhenFull) String() string { return whenFullNames[w] }

// ParseWhenFull reads the word of the group file; empty is drop_oldest.
func ParseWhenFull(s string) (WhenFull, error) {
	for w, name := range whenFullNames {
		if s == name || s == "" {
			return WhenFull(w), nil
		}
	}
	return 0, fmt.Errorf("%q says not what to do when full (write drop_oldest, drop_newest or thin)", s)
}

// Batch says how JSON messages of one source and topic are put together in one
// array: AWS bills by 5 KB. A message of a route that batches arrives in an array
// even when it is alone there. What is not JSON, is retained, or has MQTT 5
// properties of its own goes as it is.
type Batch struct {
	MaxSize int           // bytes of payload; 0: no batches
	MaxAge  time.Duration // how long the first message waits for others
}

// Route is how the messages of one row of the subscription table are treated.
type Route struct {
	// Key names the row, also in later tables and after a restart.
	Key      string `json:"-"`
	Priority Priority
	// TTL is how long a message waits at most; 0: for ever. The expiry that the
	// publisher gave counts too.
	TTL      time.Duration
	WhenFull WhenFull
	Keep     int // n of Thin, at least 2

	// LiveShare is the part of what is sent, 0 to 1, that new messages get while a
	// backlog drains. 0: they wait for their turn.
	LiveShare float64
	// Overtake lets a new message go before the backlog of its own source and
	// topic: backlog and live messages are then two sequences, each in order.
	// Without it only messages that have no backlog of their own use the share,
	// and the order holds at all times.
	Overtake bool

	Batch Batch
}

// Check says what is wrong with the route.
func (r *Route) Check() error {
	switch {
	case r.Priority > Low || r.WhenFull > Thin:
		return fmt.Errorf("the route %q has no such priority or way when full", r.Key)
	case r.WhenFull == Thin && r.Keep < 2:
		return fmt.Errorf("thin keeps every %d-th message, which thins nothing (write 2 or more)", r.Keep)
	case r.LiveShare < 0 || r.LiveShare > 1:
		return fmt.Errorf("the live share %v is out of range (0 to 1)", r.LiveShare)
	case r.TTL < 0 || r.Batch.MaxAge < 0 || r.Batch.MaxSize < 0:
		return fmt.Errorf("a ttl and the bounds of a batch cannot be negative")
	}
	return nil
}

// route is a Route that messages came by.
type route struct {
	id       int64
	key      string
	settings atomic.Pointer[Route]
	saved    *Route       // the settings in the database; owned by the writer's functions
	waiting  [lanes]count // guarded by Spool.mu
}

// count is a number of messages and their bytes of topic and payload.
type count struct{ messages, bytes int64 }

func (c *count) add(d count) { c.messages += d.messages; c.bytes += d.bytes }

// route returns that of r, made or changed if need be. The caller holds s.mu.
func (s *Spool) route(r *Route) (*route, error) {
	known := s.routes[r.Key]
	if known != nil && *known.settings.Load() == *r {
		return known, nil
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	if known == nil {
		s.lastRoute++
		known = &route{id: s.lastRoute, key: r.Key}
		s.routes[r.Key] = known
		s.byID[known.id] = known
	}
	settings := *r
	known.settings.Store(&settings)
	s.live = s.live || r.LiveShare > 0
	s.at(pointRouted)
	return known, nil
}

// save writes the route if it is not in the database as it is.
func (r *route) save(tx *sqlite.Tx) error {
	settings := r.settings.Load()
	if r.saved == settings {
		return nil
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("write the route %q: %w", r.key, err)
	}
	err = tx.Exec(`INSERT INTO routes (id, key, settings) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET settings = excluded.settings`, r.id, r.key, string(text))
	if err != nil {
		return fmt.Errorf("write the route %q: %w", r.key, err)
	}
	r.saved = settings
	return nil
}

// loadRoutes reads the routes, and how many messages of them wait.
func (s *Spool) loadRoutes(tx *sqlite.Tx) error {
	rows, err := tx.Query(`SELECT r.id, r.key, r.settings, coalesce(w.lane, 0), coalesce(w.messages, 0), coalesce(w.bytes, 0)
		FROM routes r LEFT JOIN waiting w ON w.route = r.id AND w.messages > 0 AND w.lane BETWEEN 0 AND 2`)
	if err != nil {
		return err
	}
	for rows.Next() {
		var id int64
		var key, settings string
		var lane laneID
		var n count
		if err := rows.Scan(&id, &key, &settings, &lane, &n.messages, &n.bytes); err != nil {
			return err
		}
		r := s.byID[id]
		if r == nil {
			r = &route{id: id, key: key}
			read := Route{Key: key}
			if err := cmp.Or(json.Unmarshal([]byte(settings), &read), read.Check()); err != nil {
				// Damage that SQLite cannot see must not keep the gateway from starting.
				s.log.Error("The settings of a route are damaged; its messages are sent without them", "route", key, "err", err)
				read = Route{Key: key}
			}
			r.settings.Store(&read)
			s.byID[id], s.routes[key] = r, r
			s.live = s.live || read.LiveShare > 0
		}
		if n.messages > 0 { // else begin forgets it
			r.saved = r.settings.Load()
		}
		r.waiting[lane] = n
		s.waiting[lane].add(n)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return tx.QueryRow("SELECT coalesce(max(id), 0) FROM routes").Scan(&s.lastRoute)
}

// loadUncounted counts the messages that came after the last count was written.
func (s *Spool) loadUncounted(tx *sqlite.Tx) error {
	_, err := uncounted(tx, func(lane laneID, h *head, size int64) {
		s.routeByID(h.route).waiting[lane].add(count{1, size})
		s.waiting[lane].add(count{1, size})
	})
	return err
}

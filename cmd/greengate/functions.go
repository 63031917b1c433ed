package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"greengate/configs"
	"greengate/core/dataplane"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/core/sqlite"
	"greengate/functions"
	"greengate/functions/sandbox"
)

// host has the local functions: it is the target of all rows to `function:NAME`, and
// the source of what functions send.
type host struct {
	g       *gateway
	db      *sqlite.Kept
	sandbox *sandbox.Sandbox
	manager *functions.Manager
	data    *dataplane.Handler // of functions
	ports   sync.Map           // by function, the *sync.Pool of its *router.Port

	mu    sync.Mutex
	cells map[string]*router.Cell // that count what waits, by the key of the row
}

// functionLimits are those of the data plane for functions: they sit on this machine,
// and aggregate what many devices send.
var functionLimits = dataplane.Limits{Rate: 1000, AtOnce: 64, InAll: 256}

// openFunctions opens the store of calls and makes the manager of functions, which
// starts none before it runs.
func (g *gateway) openFunctions(c *configs.Config) (err error) {
	h := &host{g: g, cells: map[string]*router.Cell{}}
	g.functions = h
	h.db, err = g.openStore(c, "function", "functions.db",
		sqlite.Options{Migrations: functions.Migrations(), PageSize: smallPages, Queue: 4096, Readers: 1}, sqlite.Keep{})
	if err != nil {
		return err
	}
	if h.data, err = g.newDataPlane(functionLimits); err != nil {
		return err
	}
	if h.sandbox, err = sandbox.New(sandbox.Options{Log: g.log}); err != nil {
		return fmt.Errorf("prepare for functions: %w", err)
	}
	h.manager, err = functions.New(functions.Options{
		Functions: c.Functions, Dir: filepath.Join(c.Data, "functions"), DB: h.db.DB, Sandbox: h.sandbox,
		Home: h.home, Reply: h.reply, Settled: h.settled, Requeued: h.requeued, Hidden: hidden(c),
		Stands: func(source, topic, function string) bool { return g.stands(source, topic, functionEnd(function)) },
		Region: region(c), Account: account, Log: g.log,
	})
	if err != nil {
		return err
	}
	for key, n := range h.manager.Content() {
		h.cells[key] = g.router.RestoreRow(key, n)
	}
	g.rechecks = append(g.rechecks, h.recheck)
	g.router.Register(message.Function, h)
	return nil
}

// hidden are the paths that no function may reach, whatever the file opens to it.
func hidden(c *configs.Config) []string {
	paths := []string{c.PKI.Dir, c.Data, c.Socket(), c.File}
	if c.Cloud != nil {
		paths = append(paths, c.Cloud.Certificate)
		if file := secretFile(c); file != "" {
			paths = append(paths, file)
		}
	}
	return paths
}

// lane is how the calls of one route wait for their function. It stands in the handle
// of the hop, so that it is made once for each route.
type lane struct {
	key     string
	durable bool
	cell    *router.Cell // nil: the function may have the messages, and has not asked for them
}

// Reasons for which a message does not become a call.
const (
	callsBehind  router.Reason = "function-behind" // the disk is too slow for durable calls
	callTooLarge router.Reason = "too-large"
	callGone     router.Reason = functions.ReasonGone
	callStopped  router.Reason = functions.ReasonStopped
)

// Deliver queues a call. The publish of a durable one is acknowledged when it is on disk.
func (h *host) Deliver(d *router.Delivery, hop *router.Hop) (router.Verdict, router.Reason) {
	generation := h.g.router.Generation()
	way, ok := hop.Handle.(*lane)
	if !ok || hop.Table != generation {
		if way = h.lane(d.Source, d.Topic, hop.To); way == nil {
			return router.Refused, router.NoRow
		}
		if hop.Table == generation {
			hop.Handle = way
		}
	}
	if way.cell == nil {
		return router.Dropped, router.NoSubscriber
	}
	m := d.Message.Keep()
	call := functions.Call{Function: hop.To.Name, Message: m, Route: way.key, Durable: way.durable}
	var receipt *router.Receipt
	if call.Durable {
		receipt = d.Hold()
		call.Stored = func(err error) {
			if err != nil {
				receipt.Fail() // the publisher is told, and sends it again
				return
			}
			receipt.Done()
		}
	}
	cell := h.queue(way.key, way.cell, 1)
	if err := h.manager.Put(call); err != nil {
		why := callReason(err)
		h.g.router.Settle(cell, router.Dropped, why, m, hop.To)
		switch {
		case receipt == nil:
		case why == callsBehind || why == callStopped:
			receipt.Fail() // it may go better another time
		default:
			receipt.Done()
		}
	}
	if h.g.router.Generation() != generation {
		h.recheck() // it may have come behind that of the reload
	}
	return router.Queued, ""
}

// callReason is why Put took nothing.
func callReason(err error) router.Reason {
	switch {
	case errors.Is(err, functions.ErrBehind):
		return callsBehind
	case errors.Is(err, functions.ErrTooLarge):
		return callTooLarge
	case errors.Is(err, functions.ErrNoFunction):
		return callGone
	}
	return callStopped
}

// lane asks the table in force how a message waits for a function; nil: no row allows it.
func (h *host) lane(from message.Endpoint, topic string, to message.Endpoint) *lane {
	table := h.g.current().table
	m := table.Lookup(from, topic)
	if m == nil {
		return nil
	}
	if _, ok := m.Allows(to); !ok {
		return nil
	}
	row, ok := m.Asks(topic, to)
	if !ok {
		return &lane{}
	}
	key := table.Key(row)
	return &lane{key: key, durable: table.Spooling(row).Durable, cell: h.cell(key)}
}

// cell is what counts the calls of a row.
func (h *host) cell(key string) *router.Cell {
	h.mu.Lock()
	cell := h.cells[key]
	h.mu.Unlock()
	if cell == nil {
		cell = h.g.router.RestoreRow(key, 0)
	}
	return cell
}

// queue counts calls that wait, in the cell that counts those of the row already, if
// there is one: settled looks it up by the key.
func (h *host) queue(key string, otherwise *router.Cell, n int) *router.Cell {
	h.mu.Lock()
	defer h.mu.Unlock()
	cell := h.cells[key]
	if cell == nil {
		cell = otherwise
		h.cells[key] = cell
	}
	for range n {
		cell.Queue()
	}
	return cell
}

// settled enters in the ledger what became of calls.
func (h *host) settled(s functions.Settlement) {
	h.mu.Lock()
	cell := h.cells[s.Route]
	h.mu.Unlock()
	if cell == nil {
		return
	}
	verdict := router.Dropped
	switch s.Verdict {
	case functions.Done:
		verdict = router.Delivered
	case functions.Expired:
		verdict = router.Expired
	}
	h.g.router.SettleMany(cell, verdict, router.Reason(s.Reason), s.N)
}

// requeued enters in the ledger what was put back from quarantine: accepted anew.
func (h *host) requeued(route string, n int) {
	h.queue(route, h.cell(route), n)
}

// recheck drops the calls that do not stand any more, and forgets what counted those of
// rows that are gone.
func (h *host) recheck() {
	h.manager.Recheck()
	table := h.g.current().table
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, cell := range h.cells {
		if cell.Counts().Waiting > 0 {
			continue
		}
		if _, ok := table.Find(key); !ok {
			delete(h.cells, key)
		}
	}
}

// Run runs the functions until ctx ends.
func (h *host) Run(ctx context.Context) error {
	h.recheck() // rows may have left the file while nobody ran
	return h.manager.Run(ctx)
}

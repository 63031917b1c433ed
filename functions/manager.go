package functions

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/message"
	"greengate/functions/endpoint"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations returns the schema of the durable calls, for sqlite.Options.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return sub
}

// Manager keeps the functions of a group.
type Manager struct {
	o        Options
	log      *slog.Logger
	launcher launcher
	store    *store
	starts   atomic.Uint64 // of instances, for their names
	kick     chan struct{} // functions are to be started
	table    atomic.Pointer[table]

	mu       sync.Mutex
	journals map[string]*journal
	begin    []*function // to be started by Run
	orphans  []*function // that are not in the file, and had calls on the disk
	stopped  bool
	prepared bool
	content  map[string]int // durable calls that the last run left, by route
}

// table is the functions in force. It is replaced, never changed.
type table struct {
	byName map[string]*function
	order  []*function // as in the file
}

// New reads which durable calls a former process has left. It starts nothing.
func New(o Options) (*Manager, error) {
	if o.Sandbox == nil || o.DB == nil {
		return nil, errors.New("functions need a sandbox and a database")
	}
	return newManager(o, realLauncher{o.Sandbox})
}

func newManager(o Options, l launcher) (*Manager, error) {
	o.Bounds = o.Bounds.withDefaults()
	if o.Settled == nil {
		o.Settled = func(Settlement) {}
	}
	if o.Requeued == nil {
		o.Requeued = func(string, int) {}
	}
	if o.Stands == nil {
		o.Stands = func(string, string, string) bool { return true }
	}
	if o.Reply == nil {
		o.Reply = func(context.Context, string, string, []byte) error {
			return errors.New("there is nowhere to publish to")
		}
	}
	if o.Home == nil {
		o.Home = func(string) endpoint.Home { return endpoint.Home{} }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{
		o: o, log: o.Log.With("component", "function"), launcher: l, kick: make(chan struct{}, 1),
		journals: map[string]*journal{}, content: map[string]int{},
	}
	m.store = &store{db: o.DB, log: m.log, bounds: &m.o.Bounds, durable: map[string]int{}}
	// Functions with a user of their own have to get through to their scratch folders.
	if err := errors.Join(os.MkdirAll(o.Dir, 0o711), os.MkdirAll(filepath.Join(o.Dir, "logs"), 0o750)); err != nil {
		return nil, fmt.Errorf("make the folder of the functions: %w", err)
	}
	m.table.Store(&table{})
	if err := m.Apply(o.Functions); err != nil {
		return nil, err
	}
	if err := m.restore(); err != nil {
		return nil, fmt.Errorf("read the calls of functions: %w", err)
	}
	return m, nil
}

// restore queues the durable calls that the last run left.
func (m *Manager) restore() error {
	orphans := map[string]*function{}
	of := func(name string) *function {
		f := m.find(name)
		if f == nil {
			if f = orphans[name]; f == nil {
				f = &function{m: m, name: name, log: m.log.With("function", name), phase: leaving, c: &Config{}}
				orphans[name] = f
				m.orphans = append(m.orphans, f)
			}
		}
		return f
	}
	return m.store.load(of, func(c *call, damaged bool) {
		m.content[c.route]++
		c.damaged = damaged
		c.unfit = !c.f.fits(c.payload)
		c.f.waiting.pushBack(c)
	})
}

// Content returns how many durable calls of each route the last run left behind, by
// Call.Route. Run settles them.
func (m *Manager) Content() map[string]int { return maps.Clone(m.content) }

// patience is how long the end waits for the disk.
const patience = 3 * time.Second

// Run starts the functions and works off their calls until ctx ends. It then lets
// running calls end, within their timeouts and Bounds.Grace.
func (m *Manager) Run(ctx context.Context) error {
	if err := m.prepare(); err != nil { // each instance tries it anew
		m.log.Error("Functions cannot start", "err", err)
	}
	m.disown()
	var tasks sync.WaitGroup
	for live := true; live; {
		for _, f := range m.beginning() {
			tasks.Go(func() { f.run(ctx) })
		}
		select {
		case <-m.kick:
		case <-ctx.Done():
			live = false
		}
	}
	m.mu.Lock()
	m.stopped = true
	rest := m.begin
	m.mu.Unlock()
	for _, f := range rest {
		f.stop() // it never ran
	}
	tasks.Wait()
	m.store.stop(patience)
	return m.closeJournals()
}

// disown sends the calls to quarantine whose function is not in the file any more.
func (m *Manager) disown() {
	m.mu.Lock()
	orphans := m.orphans
	m.orphans = nil
	m.mu.Unlock()
	for _, f := range orphans {
		f.log.Warn("The group file has a function no more for which calls wait; they go to quarantine", "calls", f.waiting.n)
		f.remove()
	}
}

// beginning takes the functions that are to be started.
func (m *Manager) beginning() []*function {
	m.mu.Lock()
	defer m.mu.Unlock()
	functions := m.begin
	m.begin = nil
	return functions
}

// journal returns that of a function, which outlives reloads.
func (m *Manager) journal(name string) (*journal, error) {
	if j := m.journals[name]; j != nil {
		return j, nil
	}
	j, err := newJournal(m.logPath(name), m.log.With("function", name), &m.o.Bounds)
	if err != nil {
		return nil, err
	}
	m.journals[name] = j
	return j, nil
}

func (m *Manager) closeJournals() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, j := range m.journals {
		errs = append(errs, j.close())
	}
	return errors.Join(errs...)
}

func (m *Manager) find(name string) *function { return m.table.Load().byName[name] }

func (m *Manager) list() []*function { return m.table.Load().order }

func checkName(name string) error { return message.CheckThing(name) }

package functions

import (
	"errors"
	"fmt"
	"reflect"
)

// Apply takes up a new list of functions. One whose process changed ends its instances as
// these answer, keeps what waits for it and starts again; the calls of one that is gone
// are settled. An error says that nothing was changed.
func (m *Manager) Apply(functions []Config) error {
	if err := check(functions); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stopped {
		return ErrStopped
	}
	old := m.table.Load()
	next := &table{byName: map[string]*function{}}
	var fresh []*function
	for _, c := range functions {
		f := old.byName[c.Name]
		if f == nil {
			var err error
			if f, err = newFunction(m, c); err != nil {
				return err
			}
			fresh = append(fresh, f)
		}
		next.byName[c.Name] = f
		next.order = append(next.order, f)
	}
	var errs []error
	for _, c := range functions {
		if f := old.byName[c.Name]; f != nil {
			errs = append(errs, f.adopt(c))
		}
	}
	m.table.Store(next)
	for _, f := range old.order {
		if next.byName[f.name] == nil {
			f.remove()
		}
	}
	m.begin = append(m.begin, fresh...)
	select {
	case m.kick <- struct{}{}:
	default:
	}
	return errors.Join(errs...)
}

// check finds what would keep Apply from taking up the functions.
func check(functions []Config) error {
	names := map[string]bool{}
	for _, c := range functions {
		if err := checkName(c.Name); err != nil {
			return fmt.Errorf("function %q: %w", c.Name, err)
		}
		if names[c.Name] {
			return fmt.Errorf("function %q: there are two", c.Name)
		}
		names[c.Name] = true
		switch {
		case len(c.Command) == 0:
			return fmt.Errorf("function %q: it has no command", c.Name)
		case c.Timeout <= 0 || c.Idle <= 0 && !c.Pinned || c.Concurrency < 1 && !c.Pinned || c.Queue.Max < 1 || c.Every < 0 || c.Retries < 0:
			return fmt.Errorf("function %q: timeout, idle, concurrency and the queue's max must be more than 0, and nothing less", c.Name)
		}
		if c.Cron != "" {
			if _, err := ParseCron(c.Cron); err != nil {
				return fmt.Errorf("function %q: read the cron schedule %q: %w", c.Name, c.Cron, err)
			}
		}
	}
	return nil
}

// adopt reloads the function if c is another configuration.
func (f *function) adopt(c Config) error {
	f.mu.Lock()
	defer f.unlock()
	if reflect.DeepEqual(*f.c, c) {
		return nil
	}
	return f.reload(c)
}

// Recheck drops the calls that wait and do not stand any more, after a reload.
func (m *Manager) Recheck() {
	for _, f := range m.list() {
		f.mu.Lock()
		before := f.stats.dropped
		f.closeAll(func(c *call) (end, bool) { return rowGone, !c.damaged && !c.stands() })
		dropped := f.stats.dropped - before
		f.unlock()
		if dropped > 0 {
			f.log.Info("Calls are dropped that no row lets pass any more", "calls", dropped)
		}
	}
}

package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// View runs f on a connection that cannot write, in a transaction that sees the
// last commit before its first statement, and nothing later. It waits for a
// connection while Options.Readers of them are in use, but never for the writer.
// The end of ctx interrupts its statements. The error is that of f as it is.
//
// As long as a View lasts, the WAL cannot be begun anew and grows with every
// commit: read a large table in pieces.
func (db *DB) View(ctx context.Context, f func(tx *Tx) error) error {
	return db.read(ctx, func(c *conn) error {
		if err := c.control("BEGIN"); err != nil {
			return err
		}
		tx := &Tx{conn: c, ctx: ctx}
		defer func() { // also when f panics: the connection goes back to the pool
			tx.end()
			_ = c.control("ROLLBACK") // nothing was written
		}()
		return f(tx)
	})
}

// Check walks the whole structure of the database as a View, and returns
// ErrCorrupt with the first faults that it finds.
func (db *DB) Check(ctx context.Context) error {
	err := db.read(ctx, func(c *conn) error { return c.check(ctx) })
	if err != nil {
		return fmt.Errorf("check the database %s: %w", db.o.File, err)
	}
	return nil
}

// read lends f a connection of the pool.
func (db *DB) read(ctx context.Context, f func(*conn) error) error {
	c, err := db.readers.get(ctx)
	if err != nil {
		return fmt.Errorf("read the database %s: %w", db.o.File, err)
	}
	defer db.readers.put(c)
	return f(c)
}

// pool holds the connections that read.
type pool struct {
	slots chan struct{} // one for each connection in use
	open  func() (*conn, error)

	mu     sync.Mutex
	idle   []*conn // guarded by mu
	closed bool    // guarded by mu
}

func newPool(size int, open func() (*conn, error)) *pool {
	return &pool{slots: make(chan struct{}, size), open: open}
}

// get returns an idle connection, or opens one.
func (p *pool) get(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := p.take()
	if c == nil && err == nil {
		c, err = p.open()
	}
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) take() (*conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if len(p.idle) == 0 {
		return nil, nil
	}
	c := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return c, nil
}

// put gives a connection back.
func (p *pool) put(c *conn) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.close() // it has read only; there is nothing to lose and nobody to tell
		return
	}
	p.idle = append(p.idle, c)
}

// close closes the idle connections, and those in use when they come back.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	for _, c := range p.idle {
		errs = append(errs, c.close())
	}
	p.idle = nil
	return errors.Join(errs...)
}

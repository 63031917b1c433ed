package telemetry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"greengate/core/sqlite"
)

// ErrNoKey: there is no key to encrypt messages with, so none is taken.
var ErrNoKey = errors.New("the key of the spool is not there")

// keys are those that the spool has, and those that it lacks. What cannot be read without
// a key stays where it is until that key is there, its time has run out, or its room is
// needed; it stops nothing behind it.
type keys struct {
	s       *Spool
	seal    atomic.Pointer[sealer] // nil: what comes is written in clear
	lacking atomic.Bool            // there is to be a sealer, and its key is not there
	locked  atomic.Int64           // messages that wait and cannot be read, when last counted
	stale   atomic.Bool            // some of them may have left
	next    time.Time              // when they may be counted again; the keeper's

	mu      sync.Mutex
	ring    map[string]*Key // by id
	missing []missingKey    // of which nobody could read the file
}

// missingKey is a file of the options that is not there, or no key.
type missingKey struct {
	file string
	seal bool // it is the one to encrypt with
	err  error
}

// countEvery is the least time between two counts of what cannot be read, each of which
// reads all of it.
const countEvery = time.Minute

// load reads the files. One that cannot be read is no error: a site must not stand still
// for the key of its spool.
func (k *keys) load() error {
	k.ring = map[string]*Key{}
	for i, file := range append([]string{k.s.o.Encrypt}, k.s.o.Decrypt...) {
		if file == "" {
			continue
		}
		m := missingKey{file: file, seal: i == 0}
		key, err := ReadKey(file)
		if err != nil {
			m.err = err
			k.missing = append(k.missing, m)
			k.lacking.Store(k.lacking.Load() || m.seal)
			k.s.log.Error("A key of the spool cannot be read; it is looked for until it is there", "err", err)
			continue
		}
		k.ring[key.id] = key
		if m.seal {
			sealer, err := newSealer(key)
			if err != nil {
				return fmt.Errorf("encrypt the spool: %w", err)
			}
			k.seal.Store(sealer)
		}
	}
	return nil
}

// Lacking reports whether Put takes nothing for want of the key to encrypt with. Once it is
// false it stays so.
func (s *Spool) Lacking() bool { return s.keys.lacking.Load() }

// Unreadable says which messages cannot be read, and for want of which keys; "": all can.
func (s *Spool) Unreadable() string { return s.keys.unreadable() }

// id is that of the key under which messages are written, "" for none.
func (k *keys) id() string {
	if s := k.seal.Load(); s != nil {
		return s.key.id
	}
	return ""
}

// has returns the key with that id, or nil.
func (k *keys) has(id string) *Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ring[id]
}

// open makes items readable that are in a box. One whose key is not there stays locked, and
// one that is not what was written is damaged.
func (k *keys) open(items ...*item) {
	for _, it := range items {
		if it.sealed == nil || it.damaged {
			continue
		}
		it.locked = it.sealed.key()
		if key := k.has(it.locked); key != nil {
			it.locked = ""
			it.forged = it.unseal(key) != nil
			it.damaged = it.forged
		}
	}
}

// cause returns the reason of a message in quarantine.
func (k *keys) cause(seq int64, b box) string {
	if !b.sound() {
		return causeDamaged
	}
	if key := k.has(b.key()); key != nil {
		if plain, err := key.open(b, boundCause(seq)); err == nil {
			return string(plain)
		}
	}
	return "it is encrypted with the key " + b.key()
}

// begin notes under which key the messages of this start are written.
func (k *keys) begin(tx *sqlite.Tx) error {
	k.s.streams.blind = k.locked.Load() > 0
	if k.lacking.Load() {
		return nil
	}
	return k.s.nameStreams(tx, k.id())
}

// tend looks for the keys that are missing, and counts what cannot be read if that may
// have changed.
func (k *keys) tend(ctx context.Context) {
	k.mu.Lock()
	missing := slices.Clone(k.missing)
	k.mu.Unlock()
	came := false
	for i := range missing {
		m := &missing[i]
		key, err := ReadKey(m.file)
		if err == nil {
			err = k.take(ctx, key, m.seal)
		}
		if m.err = err; err == nil {
			came = true
			k.s.log.Info("A key of the spool is there now", "file", m.file, "key", key.id)
		}
	}
	k.mu.Lock()
	k.missing = slices.DeleteFunc(missing, func(m missingKey) bool { return m.err == nil })
	k.mu.Unlock()
	if came || k.stale.Load() && !time.Now().Before(k.next) {
		k.stale.Store(false)
		k.next = time.Now().Add(countEvery)
		if err := k.s.o.DB.View(ctx, k.count); err != nil {
			k.stale.Store(true)
		}
	}
	if came {
		k.s.up.restart() // it has passed what could not be read
	}
}

// take puts a key to use.
func (k *keys) take(ctx context.Context, key *Key, seal bool) error {
	k.mu.Lock()
	k.ring[key.id] = key
	k.mu.Unlock()
	if !seal {
		return nil
	}
	sealer, err := newSealer(key)
	if err != nil {
		return err
	}
	err = k.s.o.DB.Update(ctx, func(tx *sqlite.Tx) error {
		if err := k.s.clock.written(tx, key.id); err != nil {
			return err
		}
		return k.s.nameStreams(tx, key.id)
	})
	if err != nil {
		return fmt.Errorf("note the key of the spool: %w", err)
	}
	k.seal.Store(sealer)
	k.lacking.Store(false)
	return nil
}

// count counts what waits and cannot be read. Without such messages it reads nothing.
func (k *keys) count(tx *sqlite.Tx) error {
	var n int64
	for _, part := range k.s.clock.parts() {
		if part.key == "" || k.has(part.key) != nil {
			continue
		}
		for lane := range lanes {
			var here int64
			if err := tx.QueryRow(lane.sql().count, part.first, part.last).Scan(&here); err != nil {
				return err
			}
			n += here
		}
	}
	k.locked.Store(n)
	return nil
}

// left takes note that rows have left the disk.
func (k *keys) left(seqs []int64) {
	if k.locked.Load() == 0 || k.stale.Load() {
		return
	}
	for _, seq := range seqs {
		if id := k.s.clock.key(seq); id != "" && k.has(id) == nil {
			k.stale.Store(true)
			return
		}
	}
}

// faults tells of keys that are missing.
func (k *keys) faults() (faults []string) {
	k.mu.Lock()
	missing := slices.Clone(k.missing)
	k.mu.Unlock()
	for _, m := range missing {
		if m.seal {
			faults = append(faults, fmt.Sprintf("messages to the cloud are refused, since the spool cannot encrypt them: %v", m.err))
		}
	}
	if text := k.unreadable(); text != "" {
		faults = append(faults, text)
	}
	return faults
}

// unreadable says what cannot be read, and for want of which keys; "": nothing.
func (k *keys) unreadable() string {
	n := k.locked.Load()
	if n == 0 {
		return ""
	}
	var lacks, why []string
	for _, part := range k.s.clock.parts() {
		if part.key != "" && k.has(part.key) == nil && !slices.Contains(lacks, part.key) {
			lacks = append(lacks, part.key)
		}
	}
	k.mu.Lock()
	for id := range k.ring {
		why = append(why, "cloud.spool has the key "+id)
	}
	for _, m := range k.missing {
		why = append(why, m.err.Error())
	}
	k.mu.Unlock()
	slices.Sort(why)
	if len(why) == 0 {
		why = append(why, "cloud.spool names no key")
	}
	return fmt.Sprintf("%d messages cannot be read, and wait: they are encrypted with the key %s, and %s (name its file in cloud.spool.decrypt; if it is lost, `greengate spool discard --unreadable`)",
		n, strings.Join(lacks, ", "), strings.Join(why, "; "))
}

package localshadow

import (
	"sync"

	"greengate/core/sqlite"
)

// hotBytes bounds the documents that are remembered, in bytes: those of some thousand
// shadows of 1 KiB.
const hotBytes = 2 << 20

// hot remembers documents as the transaction of the group has them, so that who updates
// a shadow again and again has it read once. It belongs to the writer's goroutine; others
// may see what it remembers. That is forgotten when something that a function wrote was
// undone.
type hot struct {
	bytes  int // of the documents
	undone uint64

	mu        sync.Mutex       // held by the writer to change what follows, by others to read it
	documents map[Key]Document // guarded by mu
}

// remembers returns a document as the writer had it at this moment.
func (h *hot) remembers(k Key) (Document, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d, ok := h.documents[k]
	return d, ok
}

// load is Load, if need be.
func (h *hot) load(tx *sqlite.Tx, k Key) (Document, error) {
	if n := tx.Undone(); n != h.undone || h.documents == nil {
		h.mu.Lock()
		h.documents, h.bytes, h.undone = make(map[Key]Document), 0, n
		h.mu.Unlock()
	}
	if d, ok := h.documents[k]; ok {
		return d, nil
	}
	d, err := Load(tx, k.Thing, k.Name)
	if err == nil && d.row == 0 {
		if d.mark, err = former(tx, k.Thing, k.Name); err == nil {
			d.floor, err = floor(tx)
		}
	}
	if err != nil {
		return Document{}, err
	}
	h.keep(k, d)
	return d, nil
}

// keep remembers what load is to return. A shadow that never was, or was deleted, is
// seldom asked for.
func (h *hot) keep(k Key, d Document) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if was, ok := h.documents[k]; ok {
		h.bytes -= was.weight(k)
		delete(h.documents, k)
	}
	weight := d.weight(k)
	if !d.Exists() || weight > hotBytes {
		return
	}
	for other, gone := range h.documents { // any: there is no order of use
		if h.bytes+weight <= hotBytes {
			break
		}
		h.bytes -= gone.weight(other)
		delete(h.documents, other)
	}
	h.bytes += weight
	h.documents[k] = d
}

// weight is about what a document takes in memory.
func (d *Document) weight(k Key) int {
	return d.Size() + len(d.times) + len(k.Thing) + len(k.Name) + 256
}

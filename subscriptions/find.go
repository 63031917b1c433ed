package subscriptions

import (
	"hash/maphash"
	"math/bits"
	"sync"
)

// keys finds rows by their keys. It is made when the first is sought: after a start, for
// what has waited on disk, and for the first message of a row that leads to where
// messages wait.
type keys struct {
	once  sync.Once
	seed  maphash.Seed
	slots []uint32 // hash table of rows plus one; a power of two of them
}

// Find returns the first row that has the key.
func (t *Table) Find(key string) (row int, ok bool) {
	t.keys.once.Do(t.makeKeys)
	var room [256]byte
	mask := uint64(len(t.keys.slots) - 1)
	for at := maphash.String(t.keys.seed, key) & mask; t.keys.slots[at] != 0; at = (at + 1) & mask {
		row := int(t.keys.slots[at] - 1)
		if string(t.appendKey(room[:0], row)) == key {
			return row, true
		}
	}
	return 0, false
}

func (t *Table) makeKeys() {
	k := &t.keys
	k.seed, k.slots = maphash.MakeSeed(), make([]uint32, 1<<bits.Len(uint(len(t.rows)+len(t.rows)/2)))
	mask := uint64(len(k.slots) - 1)
	var key []byte
	for row := range t.rows { // of rows with the same key the first is found first
		key = t.appendKey(key[:0], row)
		at := maphash.Bytes(k.seed, key) & mask
		for k.slots[at] != 0 {
			at = (at + 1) & mask
		}
		k.slots[at] = uint32(row) + 1
	}
}

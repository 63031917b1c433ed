package subscriptions

import (
	"hash/maphash"
	"slices"
)

// words numbers strings densely from 0, while a table is compiled: an
// open-addressed hash table over one arena of text.
type words struct {
	seed  maphash.Seed
	slots []uint32 // number plus one, 0 is empty; a power of two of them
	ends  []uint32 // word i ends at ends[i] in text, where word i+1 begins
	text  []byte
}

func newWords() *words {
	return &words{seed: maphash.MakeSeed(), slots: make([]uint32, 16)}
}

// len is how many words there are.
func (w *words) len() int { return len(w.ends) }

// word returns the text of a number.
func (w *words) word(number uint32) string { return string(w.bytes(number)) }

func (w *words) bytes(number uint32) []byte {
	begin := uint32(0)
	if number > 0 {
		begin = w.ends[number-1]
	}
	return w.text[begin:w.ends[number]]
}

// find returns the number of s, or false when s is no word.
func (w *words) find(s string) (number uint32, ok bool) {
	slot := w.seek(s)
	return w.slots[slot] - 1, w.slots[slot] != 0
}

// add returns the number of s, a new one when s is new.
func (w *words) add(s string) (number uint32) {
	slot := w.seek(s)
	if w.slots[slot] != 0 {
		return w.slots[slot] - 1
	}
	w.text = append(w.text, s...)
	w.ends = append(w.ends, uint32(len(w.text)))
	w.slots[slot] = uint32(len(w.ends))
	if len(w.ends) > len(w.slots)/4*3 {
		w.grow()
	}
	return uint32(len(w.ends) - 1)
}

// seek returns the slot of s, or the empty slot in which it would stand.
func (w *words) seek(s string) uint64 {
	mask := uint64(len(w.slots) - 1)
	slot := maphash.String(w.seed, s) & mask
	for w.slots[slot] != 0 && string(w.bytes(w.slots[slot]-1)) != s {
		slot = (slot + 1) & mask
	}
	return slot
}

func (w *words) grow() {
	w.slots = make([]uint32, 2*len(w.slots))
	mask := uint64(len(w.slots) - 1)
	for number := range w.ends {
		slot := maphash.Bytes(w.seed, w.bytes(uint32(number))) & mask
		for w.slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		w.slots[slot] = uint32(number) + 1
	}
}

// freeze ends the adding and finding. What stays are the texts by their
// numbers, without the room that add keeps to grow into.
func (w *words) freeze() {
	w.slots = nil
	w.ends, w.text = slices.Clone(w.ends), slices.Clone(w.text)
}

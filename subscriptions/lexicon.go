package subscriptions

import (
	"hash/maphash"
	"math/bits"
)

// lexicon finds the number of a string. It never changes.
//
// It is an open-addressed hash table, half full, whose slots hold the words
// themselves, so that to find one touches one cache line. In a great table it
// is such lines that a lookup waits for, not the steps that it takes.
type lexicon struct {
	seed  maphash.Seed
	slots []word
	tails []byte // what the slots have no room for
}

// inline is how many bytes of a word stand in its slot, of which two fill a
// cache line.
const inline = 22

// word is one slot.
type word struct {
	number uint32 // plus one; 0: the slot is empty
	tail   uint32 // where its bytes after the first ones begin in tails
	size   uint16
	text   [inline]byte
}

// newLexicon makes a lexicon of words, each at most 65,535 bytes long, as a
// topic is.
func newLexicon(w *words) lexicon {
	l := lexicon{seed: maphash.MakeSeed(), slots: make([]word, 2*w.len()+1)}
	for n := range w.len() {
		text := w.bytes(uint32(n))
		i := l.place(maphash.Bytes(l.seed, text))
		for l.slots[i].number != 0 {
			i = l.next(i)
		}
		slot := &l.slots[i]
		slot.number, slot.size, slot.tail = uint32(n)+1, uint16(len(text)), uint32(len(l.tails))
		l.tails = append(l.tails, text[copy(slot.text[:], text):]...)
	}
	return l
}

// find returns the number of s, or false when s is no word.
func (l *lexicon) find(s string) (number uint32, ok bool) {
	for i := l.place(maphash.String(l.seed, s)); l.slots[i].number != 0; i = l.next(i) {
		if w := &l.slots[i]; int(w.size) == len(s) && l.is(w, s) {
			return w.number - 1, true
		}
	}
	return 0, false
}

// is tells whether the word is s, which is as long.
func (l *lexicon) is(w *word, s string) bool {
	if len(s) <= inline {
		return string(w.text[:len(s)]) == s
	}
	return string(w.text[:]) == s[:inline] && string(l.tails[w.tail:][:len(s)-inline]) == s[inline:]
}

// place is the slot in which the search for a hash begins.
func (l *lexicon) place(hash uint64) uint64 {
	slot, _ := bits.Mul64(hash, uint64(len(l.slots)))
	return slot
}

func (l *lexicon) next(slot uint64) uint64 {
	if slot++; slot < uint64(len(l.slots)) {
		return slot
	}
	return 0
}

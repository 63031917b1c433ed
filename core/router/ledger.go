package router

import (
	"slices"
	"sync"
	"sync/atomic"
	"weak"
)

// ledger holds the figures that belong to no row of the table in force, and the
// reasons.
type ledger struct {
	norow *Cell // messages that no row allows

	// mu is held while a cell is made and while the table is swapped, so that a
	// sum over all cells has each of them once.
	mu      sync.Mutex
	retired []retired // of rows that are gone, while somebody may count there
	past    Counts    // of rows that are gone, final

	reasons sync.Map // reasonKey -> *tally
}

// retired is the cell of a row that is gone. A message that waits holds it, and
// so does a port that is in the middle of a publish.
type retired struct {
	held    weak.Pointer[Cell]
	figures *figures
}

type reasonKey struct {
	verdict Verdict
	reason  Reason
}

// tally counts the messages that were refused or dropped for one reason.
type tally struct {
	reasonKey
	n atomic.Uint64
}

// cell returns the cell of a row, made when the row is first used: most rows of
// a large table never are.
func (r *Router) cell(t *table, row int) *Cell {
	slot := &t.cells[row]
	if c := slot.Load(); c != nil {
		return c
	}
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	c := slot.Load()
	if c == nil {
		c = newCell()
		if t.gone {
			// The table was swapped under a port that still routes by it.
			r.ledger.retire(c)
		}
		slot.Store(c)
	}
	return c
}

// replace puts next in force in place of old. The rows that stand in both keep
// their cells; the cells of the others are retired.
func (r *Router) replace(old, next *table) {
	l := &r.ledger
	heirs := map[int]int{}
	findHeirs(heirs, old, next) // takes its time with large tables, but nobody waits
	l.mu.Lock()
	defer l.mu.Unlock()
	findHeirs(heirs, old, next) // of rows that were first used meanwhile
	l.settle()
	for row, at := range heirs {
		// Two rows that say the same have one heir.
		if c := old.cells[row].Load(); at < 0 || !next.cells[at].CompareAndSwap(nil, c) {
			l.retire(c)
		}
	}
	old.gone = true
	r.table.Store(next)
}

// findHeirs adds to heirs, for each used row of old that it lacks, the row of
// next that says the same; -1 when there is none.
func findHeirs(heirs map[int]int, old, next *table) {
	var moved map[string]int // rows of old by their keys
	taken := map[int]bool{}
	for row := range old.cells {
		if _, ok := heirs[row]; ok || old.cells[row].Load() == nil {
			continue
		}
		key := old.gate.Key(row)
		heirs[row] = -1
		// An edit in one place leaves a row where it was, seen from the top of
		// the file or from its end. The key is costly, so these are tried first.
		for _, at := range []int{row, row + len(next.cells) - len(old.cells)} {
			if at >= 0 && at < len(next.cells) && next.gate.Key(at) == key {
				heirs[row], taken[at] = at, true
				break
			}
		}
		if heirs[row] < 0 {
			if moved == nil {
				moved = map[string]int{}
			}
			moved[key] = row
		}
	}
	for at := 0; at < len(next.cells) && len(moved) > 0; at++ {
		if taken[at] {
			continue
		}
		key := next.gate.Key(at)
		if row, ok := moved[key]; ok {
			heirs[row] = at
			delete(moved, key)
		}
	}
}

// retire takes over the cell of a row that is gone. The caller holds mu.
func (l *ledger) retire(c *Cell) { l.retired = append(l.retired, retired{weak.Make(c), c.f}) }

// settle closes the books of the retired cells that nobody holds, so that their
// number is bounded however often the table changes. The caller holds mu.
func (l *ledger) settle() {
	l.retired = slices.DeleteFunc(l.retired, func(c retired) bool {
		if c.held.Value() != nil {
			return false
		}
		l.past = l.past.Add(c.figures.counts())
		return true
	})
}

// tally returns the counter of a reason.
func (l *ledger) tally(v Verdict, why Reason) *tally {
	key := reasonKey{v, why}
	t, ok := l.reasons.Load(key)
	if !ok {
		t, _ = l.reasons.LoadOrStore(key, &tally{reasonKey: key})
	}
	return t.(*tally)
}

// Ledger returns the sum over all rows, living and gone.
func (r *Router) Ledger() Counts {
	l := &r.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := l.past.Add(l.norow.Counts())
	for _, c := range l.retired {
		sum = sum.Add(c.figures.counts())
	}
	t := r.table.Load()
	for row := range t.cells {
		if c := t.cells[row].Load(); c != nil {
			sum = sum.Add(c.Counts())
		}
	}
	return sum
}

// Rows yields the figures of each row of the table in force that was used.
func (r *Router) Rows(yield func(row int, n Counts)) {
	t := r.table.Load()
	for row := range t.cells {
		if c := t.cells[row].Load(); c != nil {
			// A cell may have been made to judge a message and nothing more.
			if n := c.Counts(); n.Accepted > 0 {
				yield(row, n)
			}
		}
	}
}

// Reasons yields how often a message was refused or dropped, by reason.
func (r *Router) Reasons(yield func(v Verdict, why Reason, n uint64)) {
	r.ledger.reasons.Range(func(_, t any) bool {
		n := t.(*tally)
		yield(n.verdict, n.reason, n.n.Load())
		return true
	})
}

package subscriptions

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
	"strings"
)

// entry is a source and a topic with all who would have received.
type entry struct {
	from  int
	topic string
	to    set
	left  set // of to, what no row allows yet
}

// block is a row that may be taken: every source of it with every receiver.
type block struct {
	c        *candidate
	from, to set
	gain     int // flows that it would allow and no row allows yet
}

// maxSeeds bounds the sets of receivers that are tried with one filter.
const maxSeeds = 64

// cover returns rows that allow all flows. It takes, again and again, the row
// that allows most of what is left.
func (g *generaliser) cover(flows []Flow) []Proposed {
	entries := g.entries(flows)
	queue := &blocks{}
	for _, c := range g.candidates(entries) {
		for _, b := range c.blocks(g.ends.devices) {
			b.gain = b.count(entries, false)
			*queue = append(*queue, b)
		}
	}
	heap.Init(queue)
	var taken []*block
	for queue.Len() > 0 {
		b := (*queue)[0]
		if gain := b.count(entries, false); gain < b.gain { // others were taken since
			b.gain = gain
			heap.Fix(queue, 0)
			continue
		}
		if b.gain == 0 {
			break
		}
		heap.Pop(queue)
		taken = append(taken, b)
		b.take(entries)
	}
	rows := make([]Proposed, 0, len(taken))
	for _, b := range needed(taken, entries) {
		rows = append(rows, g.row(b, entries))
	}
	return rows
}

func (g *generaliser) entries(flows []Flow) []entry {
	var all []entry
	for _, f := range flows { // sorted, so those of one entry stand together
		from := g.ends.of(f.From)
		if n := len(all); n == 0 || all[n-1].from != from || all[n-1].topic != f.Topic {
			all = append(all, entry{from: from, topic: f.Topic})
		}
		all[len(all)-1].to.add(g.ends.of(f.To))
	}
	for i := range all {
		all[i].left = slices.Clone(all[i].to)
	}
	return all
}

// blocks returns the rows that the filter may make: a set of receivers, with
// every source that reaches all of them. A device need not have reached itself.
func (c *candidate) blocks(devices set) (all []*block) {
	tried := map[string]bool{}
	sources := make([]int, 0, len(c.reach))
	for f := range c.reach {
		sources = append(sources, f)
	}
	slices.Sort(sources)
	try := func(to set) {
		if key := to.key(); key == "" || tried[key] || len(tried) >= maxSeeds {
			return
		} else {
			tried[key] = true
		}
		b := &block{c: c, to: to}
		for _, f := range sources {
			var self set
			if devices.has(f) {
				self.add(f)
			}
			if r := c.reach[f]; len(r) > 0 && to.without(self).within(r) && r.and(to).len() > 0 {
				b.from.add(f)
			}
		}
		all = append(all, b)
	}
	for _, f := range sources {
		try(c.reach[f])
		if devices.has(f) {
			withSelf := slices.Clone(c.reach[f])
			withSelf.add(f)
			try(withSelf)
		}
	}
	var any set
	for _, f := range sources {
		any = any.with(c.reach[f])
	}
	any.each(func(t int) {
		var common set
		for _, f := range sources {
			if r := c.reach[f]; r.has(t) {
				if common == nil {
					common = slices.Clone(r)
				}
				common = common.and(r)
			}
		}
		try(common)
	})
	return all
}

// count returns the flows that b allows: all, or those that no row allows yet.
func (b *block) count(entries []entry, all bool) (n int) {
	b.each(entries, func(e int, to set) {
		if all {
			n += to.len()
		} else {
			n += to.and(entries[e].left).len()
		}
	})
	return n
}

// each visits the entries of b, with the receivers that it allows them.
func (b *block) each(entries []entry, visit func(e int, to set)) {
	for _, it := range b.c.items {
		if b.from.has(entries[it.entry].from) {
			visit(it.entry, it.to.and(b.to))
		}
	}
}

func (b *block) take(entries []entry) {
	b.each(entries, func(e int, to set) { entries[e].left = entries[e].left.without(to) })
}

// needed leaves out the blocks whose flows the others allow.
func needed(taken []*block, entries []entry) []*block {
	by := make([]map[int]int, len(entries)) // how many blocks allow an entry to a receiver
	each := func(b *block, visit func(of map[int]int, to int)) {
		b.each(entries, func(e int, to set) {
			if by[e] == nil {
				by[e] = map[int]int{}
			}
			to.each(func(n int) { visit(by[e], n) })
		})
	}
	for _, b := range taken {
		each(b, func(of map[int]int, to int) { of[to]++ })
	}
	return slices.DeleteFunc(taken, func(b *block) bool {
		alone := false
		each(b, func(of map[int]int, to int) { alone = alone || of[to] < 2 })
		if !alone {
			each(b, func(of map[int]int, to int) { of[to]-- })
		}
		return !alone
	})
}

// row makes the row of a block. A placeholder for a single name is that name.
func (g *generaliser) row(b *block, entries []entry) Proposed {
	filter := b.c.filter
	single := func(s set, hole string) {
		if s.len() == 1 {
			s.each(func(n int) { filter = strings.ReplaceAll(filter, hole, g.ends.all[n].Name) })
		}
	}
	single(b.from, fromHole)
	single(b.to, toHole)
	return proposed(g.ends.words(b.from), g.ends.words(b.to), filter, b.count(entries, true), g.besides(b))
}

// besides says what the row of b allows beyond the flows.
func (g *generaliser) besides(b *block) (said []string) {
	for i, words := range b.c.words {
		var seen []string
		for w := range words {
			seen = append(seen, w)
		}
		slices.Sort(seen)
		more := ""
		if len(seen) > 4 {
			seen, more = seen[:4], ", ..."
		}
		which := ""
		if len(b.c.words) > 1 {
			which = fmt.Sprintf(" (number %d)", i+1)
		}
		said = append(said, fmt.Sprintf("any word where the +%s stands; %d were seen: %s%s", which, len(words), strings.Join(seen, ", "), more))
	}
	var own []string
	b.from.and(b.to).each(func(n int) {
		if !b.c.reach[n].has(n) {
			own = append(own, g.ends.all[n].String())
		}
	})
	if n := len(own); n > 4 {
		own = append(own[:4], fmt.Sprintf("%d more", n-4))
	}
	if len(own) > 0 {
		said = append(said, "a sender may get back what it sends: "+andList(own))
	}
	return said
}

// blocks is a heap: the most flows first, then the fewest +, then the fewest
// words, then the order of the filters.
type blocks []*block

func (q blocks) Len() int      { return len(q) }
func (q blocks) Swap(i, k int) { q[i], q[k] = q[k], q[i] }
func (q blocks) Less(i, k int) bool {
	a, b := q[i], q[k]
	return cmp.Or(
		cmp.Compare(b.gain, a.gain), cmp.Compare(len(a.c.words), len(b.c.words)),
		cmp.Compare(a.from.len()+a.to.len(), b.from.len()+b.to.len()),
		cmp.Compare(a.c.filter, b.c.filter), cmp.Compare(a.from.key()+a.to.key(), b.from.key()+b.to.key())) < 0
}
func (q *blocks) Push(x any) { *q = append(*q, x.(*block)) }
func (q *blocks) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

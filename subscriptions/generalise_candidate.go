package subscriptions

import (
	"hash/maphash"
	"slices"
	"strings"

	"greengate/core/message"
)

// candidate is a topic filter with the entries that it matches.
type candidate struct {
	filter string
	items  []item
	reach  map[int]set       // by source: the receivers
	words  []map[string]bool // by its +: what was seen there
}

type item struct {
	entry int
	to    set // of the entry's receivers, those for whom the filter matches
	wild  []string
}

// candidates returns the filters that may stand in a row, in a fixed order.
func (g *generaliser) candidates(entries []entry) []*candidate {
	// Most filters with a + are for one entry only. Counted by their hashes first,
	// they take no memory that a Pi has not.
	seed, count := maphash.MakeSeed(), map[uint64]uint8{}
	g.variants(entries, func(_ int, v variant, _ set) {
		if h := maphash.String(seed, v.filter); len(v.wild) > 0 && count[h] < leastWords {
			count[h]++
		}
	})
	found := map[string]*candidate{}
	var order []*candidate
	g.variants(entries, func(e int, v variant, to set) {
		if len(v.wild) > 0 && count[maphash.String(seed, v.filter)] < leastWords {
			return
		}
		c := found[v.filter]
		if c == nil {
			c = &candidate{filter: v.filter}
			found[v.filter] = c
			order = append(order, c)
		}
		c.items = append(c.items, item{e, to, v.wild})
	})
	return slices.DeleteFunc(order, func(c *candidate) bool { return !c.settle(entries) })
}

// variants yields the filters that match entries, each with the receivers for
// whom it does.
func (g *generaliser) variants(entries []entry, yield func(e int, v variant, to set)) {
	for i := range entries {
		e := &entries[i]
		from := g.ends.all[e.from]
		each := func(v variant, to set) {
			yield(i, v, to)
			if !g.exact {
				for _, w := range v.widen() {
					yield(i, w, to)
				}
			}
		}
		for _, v := range holes(e.topic, from, message.Endpoint{}) {
			each(v, e.to)
		}
		e.to.each(func(n int) {
			to := g.ends.all[n]
			if !strings.Contains(e.topic, to.Name) {
				return
			}
			var one set
			one.add(n)
			for _, v := range holes(e.topic, from, to) {
				if v.named {
					each(v, one)
				}
			}
		})
	}
}

// settle finds who reaches whom by the filter, and tells whether it may stand in
// a row.
func (c *candidate) settle(entries []entry) bool {
	c.reach = map[int]set{}
	wild := len(c.items[0].wild)
	c.words = make([]map[string]bool, wild)
	own := make([]map[int]map[string]set, wild) // by +, source and word: the receivers
	for i := range wild {
		c.words[i], own[i] = map[string]bool{}, map[int]map[string]set{}
	}
	for _, it := range c.items {
		from := entries[it.entry].from
		c.reach[from] = c.reach[from].with(it.to)
		for i, w := range it.wild {
			c.words[i][w] = true
			if own[i][from] == nil {
				own[i][from] = map[string]set{}
			}
			own[i][from][w] = own[i][from][w].with(it.to)
		}
	}
	for i, words := range c.words {
		if len(words) < leastWords {
			return false
		}
		for from, byWord := range own[i] {
			c.reach[from] = c.reach[from].and(inTwo(byWord))
		}
	}
	return true
}

// inTwo returns what is in two sets or more: who got one word only gets no +.
func inTwo(sets map[string]set) set {
	var once, twice set
	for _, s := range sets {
		twice = twice.with(once.and(s))
		once = once.with(s)
	}
	return twice
}

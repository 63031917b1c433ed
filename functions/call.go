package functions

import (
	"hash/crc32"
	"math/rand/v2"
	"time"
)

// call is one call of a function on its way. function.mu of f guards it, but what is
// set before it is queued and stays.
type call struct {
	f         *function
	id        string // the request id, a UUID: the same for each try
	source    string
	subject   string // the topic
	payload   []byte
	expires   time.Time // zero: never
	route     string
	counted   bool // Put took it: Settled is told
	byRow     bool // a row let it come: it must stand while it waits
	scheduled bool // the schedule made it
	durable   bool
	onStored  func(error)  // of a durable one, else nil
	result    chan outcome // of Invoke, with room for one; else nil
	seq       int64        // of a durable one, set when it is staged
	unfit     bool         // its payload cannot be an event of the function
	damaged   bool         // the disk has changed it

	prev, next *call // in its list
	list       *list // in which it stands; nil: none
	stored     bool  // it is on the disk
	tries      int
	due        time.Time // when it may be tried again
	started    time.Time // of this try
	by         string    // the instance that had it
	deadline   time.Time
	answered   bool
	ended      bool // end holds
	end        end
}

// stands tells whether a call may still be made. A reload may have taken the row.
func (c *call) stands() bool {
	return !c.byRow || c.f.m.o.Stands(c.source, c.subject, c.f.name)
}

// end is what became of a call.
type end struct {
	verdict Verdict
	reason  string
	failure Failure // for Invoke and the quarantine
}

// outcome is what Invoke waits for.
type outcome struct {
	payload  []byte
	failure  *Failure
	err      error // it was not made
	instance string
	started  time.Time
	duration time.Duration
}

// list is a list of calls, the oldest first.
type list struct {
	first, last *call
	n           int
	bytes       int64 // of their payloads
}

func (l *list) pushBack(c *call) { l.insert(c, l.last) }

func (l *list) pushFront(c *call) { l.insert(c, nil) }

// insert puts c behind after; nil: in front.
func (l *list) insert(c, after *call) {
	c.list, c.prev = l, after
	if after == nil {
		c.next, l.first = l.first, c
	} else {
		c.next, after.next = after.next, c
	}
	if c.next == nil {
		l.last = c
	} else {
		c.next.prev = c
	}
	l.n++
	l.bytes += int64(len(c.payload))
}

// remove takes c out of the list in which it stands, if any.
func (c *call) remove() {
	l := c.list
	if l == nil {
		return
	}
	if c.prev == nil {
		l.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		l.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	l.n--
	l.bytes -= int64(len(c.payload))
	c.list, c.prev, c.next = nil, nil, nil
}

// newID returns a request id: a UUID of version 4. It need not be unguessable, since
// only the instance that has the call may name it.
func newID() string {
	const hex = "0123456789abcdef"
	hi, lo := rand.Uint64()&^0xf000|0x4000, rand.Uint64()&^(0xc<<60)|0x8<<60
	var b [36]byte
	for i, j := 0, 0; i < len(b); i++ {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			b[i] = '-'
			continue
		}
		v := hi
		if j >= 16 {
			v = lo
		}
		b[i] = hex[v>>(60-4*(j%16))&0xf]
		j++
	}
	return string(b[:])
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of what the disk keeps of a call.
func (c *call) sum() int64 {
	var s uint32
	for _, text := range []string{c.f.name, c.route, c.id, c.source, c.subject} {
		s = crc32.Update(s, castagnoli, []byte(text))
		s = crc32.Update(s, castagnoli, []byte{0})
	}
	return int64(crc32.Update(s, castagnoli, c.payload))
}

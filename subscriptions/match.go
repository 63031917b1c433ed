package subscriptions

import (
	"cmp"
	"slices"

	"greengate/core/message"
)

// Match is what the rows of one lookup allow.
type Match struct {
	t    *Table
	hits []hit // in the order of the file, each row once
	few  [4]hit
}

// hit is a row that lets the message pass, and to whom.
type hit struct {
	row uint32
	to  end
}

// sort brings the hits in the order of the file, each row once.
func (m *Match) sort() {
	if len(m.hits) > 1 {
		slices.SortFunc(m.hits, func(a, b hit) int { return cmp.Compare(a.row, b.row) })
		m.hits = slices.CompactFunc(m.hits, func(a, b hit) bool { return a.row == b.row })
	}
}

// First is the first of the rows, in the order of the file.
func (m *Match) First() (row int) { return int(m.hits[0].row) }

// Allows tells whether the message may go to that endpoint, and the first row
// in the order of the file that says so.
func (m *Match) Allows(to message.Endpoint) (row int, ok bool) {
	e, ok := m.t.endOf(to)
	if !ok {
		return 0, false
	}
	return m.allows(e)
}

// Asks tells whether `to` wants the message, and the first row that says so. Who may use
// a shadow by a shadow row may have the answers to its requests, and a device subscribes
// to them if it wants them; who cannot subscribe, a function, is taken to want what other
// rows lead to it, and what a shadow row says by watch.
func (m *Match) Asks(topic string, to message.Endpoint) (row int, ok bool) {
	e, ok := m.t.endOf(to)
	if !ok {
		return 0, false
	}
	s, isShadow := parseShadowTopic(topic)
	answer := isShadow && s.reply && s.op != opWatch
	for _, h := range m.hits {
		if m.t.covers(h.to, e) && (!answer || m.t.rows[h.row].may == 0) {
			return int(h.row), true
		}
	}
	return 0, false
}

func (m *Match) allows(e end) (row int, ok bool) {
	for _, h := range m.hits {
		if m.t.covers(h.to, e) {
			return int(h.row), true
		}
	}
	return 0, false
}

// Services yields each allowed endpoint that is no device, once, with the
// first row that says so.
func (m *Match) Services(yield func(to message.Endpoint, row int)) {
	var few [8]end
	seen := few[:0]
	m.singles(func(e end, row int) {
		if e&sortMask != serviceEnd {
			return
		}
		for _, s := range seen {
			if s == e {
				return
			}
		}
		seen = append(seen, e)
		yield(m.t.byNumber[e&numberMask], row)
	})
}

// Devices yields each allowed device, once, with the first row that says so. A
// row to a label or to device:* makes it look at every device of the group.
func (m *Match) Devices(yield func(to message.Endpoint, row int)) {
	seen := make([]uint64, (len(m.t.devices)+63)/64)
	one := func(e end, row int) {
		if bit := uint64(1) << (e % 64); seen[e/64]&bit == 0 {
			seen[e/64] |= bit
			yield(m.t.endpoint(e), row)
		}
	}
	m.singles(func(e end, row int) {
		switch e & sortMask {
		case serviceEnd:
		case deviceEnd:
			one(e&numberMask, row)
		default:
			for d := range m.t.devices {
				if m.t.covers(e, end(d)) {
					one(end(d), row)
				}
			}
		}
	})
}

// singles yields the ends of all rows, those in lists one by one.
func (m *Match) singles(yield func(e end, row int)) {
	for _, h := range m.hits {
		if h.to&sortMask != listEnd {
			yield(h.to, int(h.row))
			continue
		}
		for _, e := range m.t.lists[h.to&numberMask] {
			yield(e, int(h.row))
		}
	}
}

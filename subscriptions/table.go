package subscriptions

import (
	"slices"

	"greengate/core/message"
)

// Table is a subscription table in force.
//
// Its index is one tree of topic levels for each source: a device, a label,
// device:*, a function and so on. A lookup walks the few trees that concern its
// source. The children of a node stand side by side, those of one source near
// one another, so that a walk touches few cache lines; a node with many
// children has them in a hash table besides.
type Table struct {
	// What a lookup touches.
	words     lexicon  // the names of the devices, in their order, then the levels of the topics
	devices   []device // by their number
	sources   []source // what a lookup has to know of the devices
	classes   []class
	services  map[message.Endpoint]service
	templates []template
	nodes     []node   // nodes[0] is a root without children
	wide      []uint32 // hash table of the children of wide nodes
	wideShift uint8
	lists     [][]end

	// What people and reloads read.
	rows     []row
	rowTexts string // of all rows, one after the other
	texts    *words // the topics and shadow things of the rows
	labels   []string
	worn     []bool             // by a device: the labels
	byNumber []message.Endpoint // the services
	terms    []Spooling         // terms[0] are the defaults
	core     string
	keys     keys
}

// device is a device of the group.
type device struct {
	name string
	line uint32 // which says so: own_shadows of it or of all, or shadow: none; 0: none does
	own  ownShadows
}

// source is a device as the source of messages.
type source struct {
	root  uint32 // where its tree begins in nodes
	class uint32
}

// ownShadows says why a device may, or may not, use its own shadows.
type ownShadows uint8

const (
	ownByRow ownShadows = iota
	ownAllowed
	ownNone // the device has no shadow
)

// class is what devices with the same labels have in common.
type class struct {
	labels []uint32 // those that rows name
	roots  []uint32 // the trees of these labels, of device:* and of own shadows
	own    bool     // uses its own shadows without a row
}

// service is an endpoint that is no device.
type service struct {
	end  end
	root uint32
}

// row is what is kept of a row for people.
type row struct {
	text     uint32 // where it begins in rowTexts
	textEnd  uint32
	line     uint32
	topic    uint32 // in texts: the topic, or the thing of a shadow row
	from, to end    // to is shadowService in a shadow row
	may      ops    // 0: no shadow row
	terms    uint16
}

// ownText stands for the row that nobody writes: devices use their own shadows.
const ownText = "own_shadows: true"

// Len is the number of rows. When a device uses its own shadows without a row,
// that is one row more, the last.
func (t *Table) Len() int { return len(t.rows) }

// Line is where the row begins in the file, from 1; 0 when nobody wrote it.
func (t *Table) Line(row int) int { return int(t.rows[row].line) }

// Text is the row as the file writes it; of the row that nobody wrote, its key.
func (t *Table) Text(row int) string {
	return t.rowText(&t.rows[row])
}

func (t *Table) rowText(r *row) string {
	if r.from == ownEnd {
		return ownText
	}
	return t.rowTexts[r.text:r.textEnd]
}

// Key is the canonical text of a row: rows that say the same, in the same file
// or in another one, have the same key.
func (t *Table) Key(row int) string { return string(t.appendKey(nil, row)) }

func (t *Table) appendKey(b []byte, row int) []byte {
	r := &t.rows[row]
	if r.from == ownEnd {
		return append(b, ownText...)
	}
	var from, to [4]string // mostly room enough
	f := yamlRow{from: t.canonical(from[:0], r.from), Spooling: t.terms[r.terms]}
	if r.may != 0 {
		f.shadow, f.may = t.texts.word(r.topic), r.may
	} else {
		f.topic, f.to = t.texts.word(r.topic), t.canonical(to[:0], r.to)
	}
	return f.append(b)
}

// Spooling is how the messages of a row wait for the cloud, or for a function.
func (t *Table) Spooling(row int) Spooling { return t.terms[t.rows[row].terms] }

// endTexts appends the texts of an end as the file writes them.
func (t *Table) endTexts(texts []string, e end) []string {
	switch e & sortMask {
	case deviceEnd:
		name := t.devices[e&numberMask].name
		return append(texts, endSpec{sort: deviceEnd, kind: message.Device, name: name, spelled: e&spelled != 0}.String())
	case labelEnd:
		return append(texts, "label:"+t.labels[e&numberMask])
	case allEnd:
		return append(texts, "device:*")
	case serviceEnd:
		return append(texts, t.byNumber[e&numberMask].String())
	case listEnd:
		for _, member := range t.lists[e&numberMask] {
			texts = t.endTexts(texts, member)
		}
		return texts
	}
	return append(texts, "own")
}

// canonical appends the texts of an end to none, in an order and spelling of their own.
func (t *Table) canonical(texts []string, e end) []string {
	if e&sortMask != listEnd {
		return t.endTexts(texts, e&^spelled)
	}
	for _, m := range t.lists[e&numberMask] {
		texts = t.endTexts(texts, m&^spelled)
	}
	return canonicalTexts(texts)
}

// covers tells whether x, the end of a single endpoint, is one of e.
func (t *Table) covers(e, x end) bool {
	if e&^spelled == x {
		return true
	}
	switch e & sortMask {
	case allEnd:
		return x&sortMask == deviceEnd
	case labelEnd:
		return x&sortMask == deviceEnd && t.classes[t.sources[x].class].wears(uint32(e&numberMask))
	case ownEnd:
		return x&sortMask == deviceEnd && t.classes[t.sources[x].class].own
	case listEnd:
		for _, member := range t.lists[e&numberMask] {
			if t.covers(member, x) {
				return true
			}
		}
	}
	return false
}

// hasService tells whether e names an endpoint that is no device.
func (t *Table) hasService(e end) bool {
	if e&sortMask == listEnd {
		return slices.ContainsFunc(t.lists[e&numberMask], t.hasService)
	}
	return e&sortMask == serviceEnd
}

// LeadsTo tells whether a row leads to an endpoint of that kind that is no device.
func (t *Table) LeadsTo(row int, kind message.Kind) bool {
	r := &t.rows[row]
	return r.may == 0 && r.from != ownEnd && t.leadsTo(r.to, kind)
}

func (t *Table) leadsTo(e end, kind message.Kind) bool {
	switch e & sortMask {
	case serviceEnd:
		return t.byNumber[e&numberMask].Kind == kind
	case listEnd:
		return slices.ContainsFunc(t.lists[e&numberMask], func(member end) bool { return t.leadsTo(member, kind) })
	}
	return false
}

func (c *class) wears(label uint32) bool {
	// A device wears few labels: a scan beats a set.
	for _, l := range c.labels {
		if l == label {
			return true
		}
	}
	return false
}

// endOf returns the end of an endpoint that the table knows.
func (t *Table) endOf(e message.Endpoint) (end, bool) {
	if e.Kind == message.Device {
		n, ok := t.device(e.Name)
		return deviceEnd | end(n), ok
	}
	s, ok := t.services[e]
	return s.end, ok
}

func (t *Table) endpoint(e end) message.Endpoint {
	if e&sortMask == deviceEnd {
		return message.DeviceEndpoint(t.devices[e&numberMask].name)
	}
	return t.byNumber[e&numberMask]
}

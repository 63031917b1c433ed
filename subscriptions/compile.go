package subscriptions

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"greengate/core/message"
)

// Compile makes the table of rows in which Check found no error. It returns an
// error for a row that it cannot read or whose device does not exist, so that
// a mistake never opens anything.
func Compile(rows []Row, site Site) (*Table, error) {
	if len(rows) >= maxRows {
		return nil, fmt.Errorf("compile %d subscriptions: more than %d", len(rows), maxRows-1)
	}
	c := compiler{
		t: &Table{
			texts: newWords(), core: site.Core,
			services: make(map[message.Endpoint]service),
			terms:    make([]Spooling, 1),
		},
		numbers: make(map[Spooling]uint16),
		words:   newWords(), labels: newWords(), templates: newWords(),
	}
	c.service(message.Endpoint{Kind: message.Shadow})
	c.service(message.Endpoint{Kind: message.Cloud})
	if err := c.devices(site.Devices); err != nil {
		return nil, fmt.Errorf("compile the devices: %w", err)
	}
	// Most rows have one source.
	c.t.rows, c.patterns = make([]row, 0, len(rows)+1), make([]pattern, 0, len(rows)+1)
	c.path = make([]uint32, 0, 5*len(rows))
	size := 0
	for i := range rows {
		size += len(rows[i].Text)
	}
	c.rowTexts.Grow(size)
	for i := range rows {
		if err := c.row(&rows[i]); err != nil {
			return nil, fmt.Errorf("compile the subscription of line %d: %w", rows[i].Line, err)
		}
	}
	c.t.rowTexts = c.rowTexts.String()
	c.finish(site.Devices)
	return c.t, nil
}

// maxText keeps the numbers of levels below those of templates.
const maxText = 1 << 30

// compiler holds what is needed only until the table is made.
type compiler struct {
	t         *Table
	words     *words // the names of the devices, then the levels of the topics
	labels    *words
	templates *words
	patterns  []pattern
	path      []uint32            // of all patterns, one after the other
	members   []end               // room for the next lists of ends
	numbers   map[Spooling]uint16 // in Table.terms
	rowTexts  strings.Builder
	own       bool // some device uses its own shadows without a row
}

// pattern is one topic filter of one source, on its way into the tree.
type pattern struct {
	from    end // a single source, not a list
	to      end
	row     uint32
	at, end uint32 // its levels in path
	may     ops
}

func (c *compiler) devices(devices []Device) error {
	t := c.t
	t.devices = make([]device, 0, len(devices))
	for _, d := range devices {
		if err := message.CheckThing(d.Thing); err != nil {
			return err
		}
		if n := c.words.add(d.Thing); int(n) < len(t.devices) {
			return fmt.Errorf("the device %q stands there twice", d.Thing)
		}
		own, line := ownByRow, d.OwnLine
		switch {
		case d.NoShadow:
			own, line = ownNone, d.Line
		case d.OwnShadows:
			own = ownAllowed
			c.own = true
		}
		t.devices = append(t.devices, device{name: d.Thing, line: uint32(line), own: own})
	}
	return nil
}

func (c *compiler) service(e message.Endpoint) end {
	s, ok := c.t.services[e]
	if !ok {
		s.end = serviceEnd | end(len(c.t.byNumber))
		c.t.byNumber = append(c.t.byNumber, e)
		c.t.services[e] = s
	}
	return s.end
}

// row enters one row.
func (c *compiler) row(r *Row) error {
	from, err := c.ends(r.From)
	if err != nil {
		return fmt.Errorf("from: %w", err)
	}
	kept := row{text: uint32(c.rowTexts.Len()), line: uint32(r.Line), from: from, to: shadowService}
	c.rowTexts.WriteString(r.Text)
	kept.textEnd = uint32(c.rowTexts.Len())
	if kept.terms, err = c.terms(r); err != nil {
		return err
	}
	if r.Shadow != "" {
		if err := message.CheckThing(r.Shadow); err != nil {
			return fmt.Errorf("shadow: %w", err)
		}
		if kept.may = parseOps(r.May); kept.may == 0 {
			return errors.New("may: there is nothing that it may do")
		}
		kept.topic = c.t.texts.add(r.Shadow)
		c.shadowPatterns(from, c.literal(r.Shadow), kept.may)
	} else {
		if err := errors.Join(message.CheckFilter(r.Topic), checkHoles(r.Topic)); err != nil {
			return fmt.Errorf("topic: %w", err)
		}
		if kept.to, err = c.ends(r.To); err != nil {
			return fmt.Errorf("to: %w", err)
		}
		if err := c.holes(r.Topic, kept.from, kept.to); err != nil {
			return err
		}
		kept.topic = c.t.texts.add(r.Topic)
		at := c.topic(r.Topic)
		c.pattern(pattern{from: kept.from, to: kept.to, at: at, may: anyOp})
	}
	c.t.rows = append(c.t.rows, kept)
	if len(c.words.text) > maxText || len(c.t.texts.text) > maxText || c.rowTexts.Len() > maxText {
		return errors.New("the rows are longer than 1 GiB in all")
	}
	return nil
}

// holes refuses a placeholder that would stand for no thing name.
func (c *compiler) holes(topic string, from, to end) error {
	if strings.Contains(topic, fromHole) && c.t.hasService(from) {
		return errors.New("from: ${from} is the thing name of a device")
	}
	if strings.Contains(topic, toHole) && c.t.hasService(to) {
		return errors.New("to: ${to} is the thing name of a device")
	}
	return nil
}

// shadowPatterns lets from send requests to the shadows of a thing, and the
// shadow service answer. Two levels stand for all the topics: a mark that no
// topic can hold, and the thing (see Lookup).
func (c *compiler) shadowPatterns(from end, thing uint32, may ops) {
	at := uint32(len(c.path))
	c.path = append(c.path, shadowMark, thing)
	c.pattern(pattern{from: from, to: shadowService, at: at, may: may})
	if thing == fromName {
		at = uint32(len(c.path))
		c.path = append(c.path, shadowMark, toName)
	}
	c.pattern(pattern{from: shadowService, to: from, at: at, may: may})
}

// pattern enters p, whose levels end the path, once for each of its sources.
func (c *compiler) pattern(p pattern) {
	p.row, p.end = uint32(len(c.t.rows)), uint32(len(c.path))
	froms := []end{p.from}
	if p.from&sortMask == listEnd {
		froms = c.t.lists[p.from&numberMask]
	}
	p.to &^= spelled
	for _, from := range froms {
		p.from = from &^ spelled
		c.patterns = append(c.patterns, p)
	}
}

// topic appends the levels of a topic to the path.
func (c *compiler) topic(topic string) (at uint32) {
	at = uint32(len(c.path))
	for level := range strings.SplitSeq(topic, "/") {
		switch level {
		case "+":
			c.path = append(c.path, anyLevel)
		case "#":
			c.path = append(c.path, restLevels)
		case fromHole:
			c.path = append(c.path, fromName)
		case toHole:
			c.path = append(c.path, toName)
		default:
			c.path = append(c.path, c.literal(level))
		}
	}
	return at
}

// literal returns the number of a level that is text or a template.
func (c *compiler) literal(level string) uint32 {
	if !strings.Contains(level, "${") {
		return firstLiteral + c.words.add(level)
	}
	t := parseTemplate(level)
	if len(t.holes) == 0 {
		return firstLiteral + c.words.add(level)
	}
	n := c.templates.add(level)
	if int(n) == len(c.t.templates) {
		c.t.templates = append(c.t.templates, t)
	}
	return firstTemplate + n
}

// ends returns the end for one side of a row.
func (c *compiler) ends(texts Ends) (end, error) {
	if len(texts) == 0 {
		return 0, errors.New("there is no endpoint")
	}
	if len(texts) > 1 && cap(c.members)-len(c.members) < len(texts) {
		c.members = make([]end, 0, max(len(texts), 1024))
	}
	at := len(c.members)
	for _, text := range texts {
		spec, err := parseEnd(text)
		if err != nil {
			return 0, err
		}
		e, err := c.end(spec)
		if err != nil {
			return 0, err
		}
		if len(texts) == 1 {
			return e, nil
		}
		c.members = append(c.members, e)
	}
	c.t.lists = append(c.t.lists, c.members[at:len(c.members):len(c.members)])
	return listEnd | end(len(c.t.lists)-1), nil
}

func (c *compiler) end(spec endSpec) (end, error) {
	switch spec.sort {
	case labelEnd:
		n := c.labels.add(spec.name)
		if int(n) == len(c.t.labels) {
			c.t.labels = append(c.t.labels, spec.name)
		}
		return labelEnd | end(n), nil
	case allEnd:
		return allEnd, nil
	case serviceEnd:
		return c.service(spec.endpoint()), nil
	}
	n, ok := c.words.find(spec.name)
	if !ok || int(n) >= len(c.t.devices) {
		return 0, fmt.Errorf("no device is called %q", spec.name)
	}
	e := deviceEnd | end(n)
	if spec.spelled {
		e |= spelled
	}
	return e, nil
}

// terms returns the number of the row's way to wait for the cloud.
func (c *compiler) terms(r *Row) (uint16, error) {
	t := r.spooling()
	if t == (Spooling{}) {
		return 0, nil
	}
	n, ok := c.numbers[t]
	if !ok {
		if len(c.t.terms) > math.MaxUint16 {
			return 0, errors.New("there are too many different ways to wait for the cloud")
		}
		n = uint16(len(c.t.terms))
		c.numbers[t] = n
		c.t.terms = append(c.t.terms, t)
	}
	return n, nil
}

package subscriptions

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"greengate/core/message"
)

// Check returns every fault of the rows, in their order. Rows without a fault
// that is an error can be compiled.
func Check(rows []Row, site Site, names Names) []Fault {
	c := newChecker(site, names, len(rows))
	for i := range rows {
		before := c.errors
		c.row, c.index, c.specs = &rows[i], i, c.specs[:0]
		c.checkRow()
		if c.errors == before {
			c.checkRepeated(rows)
		}
	}
	return c.faults
}

type checker struct {
	core    string
	known   map[message.Endpoint]bool // devices, functions and pins
	shadows map[string]bool           // the devices; false: it has no shadow
	names   map[message.Kind][]string
	bare    []string // what a name without a kind may be
	labels  map[string]bool
	worn    []string       // the labels
	seen    map[uint64]int // the row that first said this, by the hash of what it says
	seed    maphash.Seed
	said    []byte // what the row at hand says
	first   []byte // what another one says
	budget  int    // of names that may still be compared for hints

	row    *Row      // that is being checked
	specs  []endSpec // its ends, as far as they can be read
	index  int
	faults []Fault
	errors int
}

func newChecker(site Site, names Names, rows int) *checker {
	c := &checker{
		core:    site.Core,
		known:   make(map[message.Endpoint]bool),
		shadows: make(map[string]bool),
		names:   map[message.Kind][]string{message.Function: names.Functions, message.GPIO: names.Pins},
		labels:  make(map[string]bool),
		seen:    make(map[uint64]int, rows),
		seed:    maphash.MakeSeed(),
		budget:  500_000, // a file whose every row is wrong is told so in time
	}
	for _, d := range site.Devices {
		c.names[message.Device] = append(c.names[message.Device], d.Thing)
		c.shadows[d.Thing] = !d.NoShadow
		for _, l := range d.Labels {
			if !c.labels[l] {
				c.labels[l] = true
				c.worn = append(c.worn, l)
			}
		}
	}
	c.bare = append(slices.Clip(c.names[message.Device]), message.Cloud.String(), message.Shadow.String())
	for kind, list := range c.names {
		for _, name := range list {
			c.known[message.Endpoint{Kind: kind, Name: name}] = true
		}
	}
	return c
}

// fault enters an error.
func (c *checker) fault(key, value, hint, problem string, args ...any) {
	c.errors++
	c.faults = append(c.faults, Fault{Row: c.index, Key: key, Value: value, Problem: fmt.Sprintf(problem, args...), Hint: hint})
}

func (c *checker) warn(key, value, hint, problem string, args ...any) {
	c.faults = append(c.faults, Fault{Row: c.index, Key: key, Value: value, Problem: fmt.Sprintf(problem, args...), Hint: hint, Warning: true})
}

// like returns a hint at the candidate that value was meant to be.
func (c *checker) like(value, prefix string, candidates []string) string {
	if c.budget -= len(candidates); c.budget < 0 {
		return ""
	}
	if n := nearest(value, candidates); n != "" {
		return "did you mean " + prefix + n + "?"
	}
	return ""
}

func (c *checker) checkRow() {
	r := c.row
	from := c.checkEnds("from", r.From)
	if r.Shadow != "" {
		c.checkShadowRow(from)
	} else {
		to := c.checkEnds("to", r.To)
		c.checkTopic(from, to)
		if r.May != nil {
			c.fault("may", "", "write shadow: THING instead of topic and to", "may stands in a row without shadow")
		}
	}
	c.checkTerms()
}

// checkEnds checks one side of the row and returns those ends that it can read.
func (c *checker) checkEnds(side string, texts Ends) []endSpec {
	if len(texts) == 0 {
		problem := side + " is missing"
		if texts != nil {
			problem = side + " is an empty list"
		}
		c.fault(side, "", endForms, "%s", problem)
		return nil
	}
	from := len(c.specs)
	for i, text := range texts {
		spec, err := parseEnd(text)
		if err != nil {
			c.fault(keyOf(side, i, len(texts)), text, c.endHint(text), "%v", err)
			continue
		}
		if slices.ContainsFunc(c.specs[from:], spec.same) {
			c.warn(keyOf(side, i, len(texts)), text, "", "%q stands there twice", text)
		}
		c.specs = append(c.specs, spec)
		if !c.there(spec) {
			c.missing(keyOf(side, i, len(texts)), text, spec)
		}
	}
	return c.specs[from:]
}

// there tells whether the end exists.
func (c *checker) there(spec endSpec) bool {
	if spec.sort == labelEnd {
		return c.labels[spec.name]
	}
	return spec.name == "" || c.known[spec.endpoint()]
}

// endHint says what to write instead of what is no endpoint.
func (c *checker) endHint(text string) string {
	if text == "label:*" {
		return "did you mean device:*?"
	}
	if kind, name, found := strings.Cut(text, ":"); found && !slices.Contains(endKinds, kind) {
		if n := nearest(kind, endKinds); n != "" {
			return "did you mean " + n + ":" + name + "?"
		}
		if c.shadows[text] {
			return "write device:" + text
		}
	}
	return endForms
}

// missing tells of an end that does not exist.
func (c *checker) missing(key, text string, spec endSpec) {
	switch {
	case spec.sort == labelEnd:
		c.warn(key, text, c.like(spec.name, "label:", c.worn), "no device wears the label %q", spec.name)
		return
	case spec.kind == message.Device && spec.name == c.core:
		c.fault(key, text, "a row to the gateway's own shadow is a shadow row: shadow: "+c.core,
			"%q is the gateway itself, not a device", spec.name)
		return
	}
	for _, kind := range []message.Kind{message.Device, message.Function, message.GPIO} {
		if other := (message.Endpoint{Kind: kind, Name: spec.name}); c.known[other] {
			c.fault(key, text, "write "+other.String(), "no %s is called %q, but a %s is", kindWord(spec.kind), spec.name, kindWord(kind))
			return
		}
	}
	prefix, candidates := "", c.bare
	if spec.kind != message.Device || spec.spelled {
		prefix, candidates = spec.kind.String()+":", c.names[spec.kind]
	}
	c.fault(key, text, c.like(spec.name, prefix, candidates), "no %s is called %q", kindWord(spec.kind), spec.name)
}

// kindWord is what a person calls an endpoint of that kind.
func kindWord(k message.Kind) string {
	if k == message.GPIO {
		return "pin"
	}
	return k.String()
}

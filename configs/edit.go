package configs

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"greengate/core/message"
)

// Errors of AddDevice and RemoveDevice besides Faults, which are those of a
// file that is wrong before the edit, and *InUse.
var (
	// ErrDeviceExists: the thing has an entry already.
	ErrDeviceExists = errors.New("the device is in the file already")
	// ErrNoDevice: no entry has that thing.
	ErrNoDevice = errors.New("no such device in the file")
	// ErrByHand: the file is written in a way that these edits do not know,
	// such as a list that stands in it as an alias. It is left as it was.
	ErrByHand = errors.New("the file is written in a way that only a person can edit")
)

// DeviceEdit is the entry of a new device.
type DeviceEdit struct {
	Thing  string
	Labels []string
	// Certificate is sha256:HEX for a foreign certificate, otherwise empty.
	Certificate string
}

// AddDevice returns the group file data with an entry more in `devices`. Every
// other byte stays: comments, order, style and line ends.
func AddDevice(data []byte, d DeviceEdit) ([]byte, error) {
	added, err := d.device()
	if err != nil {
		return nil, fmt.Errorf("add %q: %w", d.Thing, err)
	}
	r, c, err := parse("", data)
	if err != nil {
		return nil, err
	}
	if i := findDevice(c, d.Thing); i >= 0 {
		return nil, fmt.Errorf("add %q: %w, in line %d", d.Thing, ErrDeviceExists, c.Devices[i].Line)
	}
	s := newSource(data, r.root)
	if !s.addEntry(r.root, "devices", s.deviceKeys(&added), blockEntry) {
		return nil, fmt.Errorf("add %q: %w", d.Thing, ErrByHand)
	}
	c.Devices = append(c.Devices, added)
	return s.finish("add", d.Thing, c)
}

// device returns the device as a file with the entry has it.
func (d DeviceEdit) device() (dev Device, err error) {
	if err := message.CheckThing(d.Thing); err != nil {
		return dev, err
	}
	dev.SetDefaults()
	dev.Thing = d.Thing
	for _, l := range d.Labels {
		if err := checkLabel(l); err != nil {
			return dev, err
		}
		dev.Labels = append(dev.Labels, l)
	}
	if d.Certificate != "" {
		digits, problem := fingerprintDigits(d.Certificate)
		if problem != "" {
			return dev, errors.New(problem)
		}
		dev.Certificate = fingerprintPrefix + digits
	}
	return dev, nil
}

// deviceKeys are the keys of a device with their values.
func (s *source) deviceKeys(d *Device) []string {
	keys := []string{s.word("thing") + ": " + s.quote(d.Thing)}
	if len(d.Labels) > 0 {
		var labels []string
		for _, l := range d.Labels {
			labels = append(labels, s.quote(l))
		}
		keys = append(keys, s.word("labels")+": ["+strings.Join(labels, ", ")+"]")
	}
	if d.Certificate != "" {
		keys = append(keys, s.word("certificate")+": "+s.word(d.Certificate))
	}
	return keys
}

// addEntry writes the entry at the end of a list of the file, making the list where
// there is none. The first entry of a list in block style is written by first, any
// other as the one before it.
func (s *source) addEntry(root *yaml.Node, section string, keys []string, first func(lead string, keys []string, eol string) string) bool {
	key, list := entryOf(root, section)
	inFlow := root.Style&yaml.FlowStyle != 0
	switch {
	case key == nil && inFlow:
		at := s.offset(root) + 1
		s.replace(at, at, s.word(section)+": ["+flowEntry(keys)+"], ")
		return true
	case key == nil:
		margin := strings.Repeat(" ", root.Column-1)
		end := len(s.lines)
		for end > 1 && strings.TrimSpace(s.line(end)) == "" {
			end--
		}
		s.insertLine(end, s.eol+margin+section+":"+s.eol+first(margin+"  - ", keys, s.eol))
		return true
	case list.Kind == yaml.SequenceNode && (inFlow || len(list.Content) > 0):
		return s.appendItem(list, keys)
	}
	// Nothing there yet: `devices:`, `devices: ~`, or `devices: []`.
	line := key.Line
	switch {
	case inFlow:
		return false
	case isNull(list) && list.Value != "":
		at := s.offset(list)
		s.replace(at, at+len(list.Value), "")
	case list.Kind == yaml.SequenceNode:
		open := s.offset(list)
		_, closing, ok := s.flowItems(open)
		if !ok || s.lineOf(closing) != line { // comments within the brackets
			return s.appendItem(list, keys)
		}
		if s.data[open-1] == ' ' {
			open--
		}
		s.replace(open, closing+1, "")
	case !isNull(list):
		return false
	}
	s.insertLine(line, first(strings.Repeat(" ", root.Column-1)+"  - ", keys, s.eol))
	return true
}

// finish makes the edits and looks at the result: it must be a good file, and
// hold exactly what was wanted. So an edit never spoils a file, however it is
// written.
func (s *source) finish(verb, thing string, want *Config) ([]byte, error) {
	out, got, err := s.result(verb, thing)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(essence(got), essence(want)) {
		return nil, fmt.Errorf("%s %q: %w", verb, thing, ErrByHand)
	}
	return out, nil
}

// result makes the edits, which must lead to a good file.
func (s *source) result(verb, thing string) ([]byte, *Config, error) {
	out, ok := s.apply()
	if !ok {
		return nil, nil, fmt.Errorf("%s %q: %w", verb, thing, ErrByHand)
	}
	got, err := Parse("", out)
	var faults Faults
	switch {
	case err == nil:
		return out, got, nil
	case errors.As(err, &faults) && !strings.HasPrefix(faults[0].Problem, "this is no YAML"):
		return nil, nil, fmt.Errorf("%s %q: %w", verb, thing, withoutPlaces(faults))
	}
	return nil, nil, fmt.Errorf("%s %q: %w", verb, thing, ErrByHand)
}

// withoutPlaces takes out where the faults are: in a file that nobody has. The file was
// good before, so they are about what was to be added.
func withoutPlaces(faults Faults) Faults {
	faults = slices.Clone(faults)
	for i := range faults {
		faults[i].Line, faults[i].Column, faults[i].Path = 0, 0, ""
	}
	return faults
}

// essence is the configuration without the places and the texts of the file.
func essence(c *Config) Config {
	e := *c
	e.File, e.Warnings = "", nil
	e.adminPage, e.ownLine, e.given = false, 0, ""
	e.Devices = slices.Clone(e.Devices)
	for i := range e.Devices {
		d := &e.Devices[i]
		d.Line, d.Column, d.ownLine = 0, 0, 0
	}
	e.Subscriptions = slices.Clone(e.Subscriptions)
	for i := range e.Subscriptions {
		row := &e.Subscriptions[i]
		row.Line, row.Column, row.Text = 0, 0, ""
	}
	if len(e.Devices) == 0 { // [] and nothing are the same
		e.Devices = nil
	}
	if len(e.Subscriptions) == 0 {
		e.Subscriptions = nil
	}
	return e
}

func findDevice(c *Config, thing string) int {
	return slices.IndexFunc(c.Devices, func(d Device) bool { return d.Thing == thing })
}

package subscriptions

import (
	"errors"
	"fmt"
	"strings"

	"greengate/core/message"
)

// end is one side of a row in the table: what sort of end in the upper bits,
// its number in the lower ones. A single endpoint has one end; an end may
// cover many endpoints.
type end uint32

const (
	deviceEnd  end = iota << numberBits // one device, by its number
	labelEnd                            // all devices with a label
	allEnd                              // device:*
	ownEnd                              // all devices that use their own shadows
	serviceEnd                          // shadow, cloud, a function or a pin
	listEnd                             // several ends

	numberBits     = 28
	sortMask   end = 7 << numberBits
	// spelled marks a device that the file writes as device:NAME though the
	// bare name would do. It matters to those who read only.
	spelled    end = 1 << (numberBits - 1)
	numberMask end = spelled - 1
	noEnd      end = 1<<32 - 1
)

// shadowService is the first service of every table.
const shadowService = serviceEnd

// endSpec is an end as the file words it.
type endSpec struct {
	sort    end
	kind    message.Kind // of a single endpoint
	name    string       // empty for shadow, cloud and device:*
	spelled bool
}

// deviceLike tells whether ${from} and ${to} have a meaning at this end.
func (e endSpec) deviceLike() bool { return e.sort != serviceEnd }

// same tells whether both name the same, however the file spells it.
func (e endSpec) same(o endSpec) bool {
	return e.sort == o.sort && e.kind == o.kind && e.name == o.name
}

func (e endSpec) endpoint() message.Endpoint { return message.Endpoint{Kind: e.kind, Name: e.name} }

// String returns the shortest text of the end.
func (e endSpec) String() string {
	switch e.sort {
	case labelEnd:
		return "label:" + e.name
	case allEnd:
		return "device:*"
	}
	if e.spelled {
		return "device:" + e.name
	}
	return e.endpoint().String()
}

// endKinds are the words before the colon.
var endKinds = []string{"device", "label", "function", "gpio"}

const endForms = "write device:NAME, device:*, label:L, function:NAME, gpio:NAME, shadow or cloud"

// parseEnd reads one end of a row. It does not look whether the end exists.
func parseEnd(s string) (endSpec, error) {
	kind, name, found := strings.Cut(s, ":")
	switch {
	case s == "":
		return endSpec{}, fmt.Errorf("the endpoint is empty")
	case s == "device:*":
		return endSpec{sort: allEnd}, nil
	case found && kind == "label":
		if name == "" {
			return endSpec{}, fmt.Errorf("the label is empty")
		}
		if err := message.CheckThing(name); err != nil { // no device can wear it
			return endSpec{}, errors.New(strings.Replace(err.Error(), "name", "label", 1))
		}
		return endSpec{sort: labelEnd, name: name}, nil
	case found && kind != "device" && kind != "function" && kind != "gpio":
		return endSpec{}, fmt.Errorf("%q is no kind of endpoint", kind)
	}
	e, err := message.ParseEndpoint(s)
	if err != nil {
		return endSpec{}, err
	}
	spec := endSpec{sort: serviceEnd, kind: e.Kind, name: e.Name}
	if e.Kind == message.Device {
		spec.sort = deviceEnd
		spec.spelled = found && e.String() != s
	}
	return spec, nil
}

// canonicalEnds appends texts of ends to some, in an order and spelling of their own.
func canonicalEnds(some []string, texts Ends) []string {
	for _, text := range texts {
		if spec, err := parseEnd(text); err == nil && spec.spelled {
			text = spec.name
		}
		some = append(some, text)
	}
	return canonicalTexts(some)
}

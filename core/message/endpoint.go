package message

import (
	"fmt"
	"strings"
)

// Kind says what sort of thing an endpoint is.
type Kind uint8

// The kinds of endpoints. Cloud and Shadow are one endpoint each and have no
// name; of the others there are many.
const (
	Device Kind = iota + 1
	Function
	GPIO
	Shadow
	Cloud
)

var kindNames = [...]string{Device: "device", Function: "function", GPIO: "gpio", Shadow: "shadow", Cloud: "cloud"}

// String returns the word that the group file uses for k.
func (k Kind) String() string {
	if k > 0 && int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Endpoint is one end of a message's way: a device, a local function, a pin,
// the shadow service or the cloud. It is comparable.
type Endpoint struct {
	Kind Kind
	Name string // empty for Shadow and Cloud
}

// DeviceEndpoint returns the endpoint of the device with that thing name.
func DeviceEndpoint(thing string) Endpoint { return Endpoint{Device, thing} }

// String returns the shortest form that ParseEndpoint reads back: the bare
// thing name of a device unless it holds a colon or is a reserved word.
func (e Endpoint) String() string {
	switch e.Kind {
	case Shadow, Cloud:
		return e.Kind.String()
	case Device:
		if !strings.Contains(e.Name, ":") && e.Name != "cloud" && e.Name != "shadow" {
			return e.Name
		}
	}
	return e.Kind.String() + ":" + e.Name
}

// ParseEndpoint reads `device:NAME`, `function:NAME`, `gpio:NAME`, `shadow`,
// `cloud`, or a bare thing name without a colon. It does not look whether the
// endpoint exists; groups of endpoints (`device:*`, `label:L`) are not one
// endpoint and an error.
func ParseEndpoint(s string) (Endpoint, error) {
	switch s {
	case "":
		return Endpoint{}, fmt.Errorf("an endpoint is empty (write device:NAME, function:NAME, gpio:NAME, shadow or cloud)")
	case "cloud":
		return Endpoint{Kind: Cloud}, nil
	case "shadow":
		return Endpoint{Kind: Shadow}, nil
	}
	kind, name, found := strings.Cut(s, ":")
	if !found {
		return DeviceEndpoint(s), CheckThing(s)
	}
	switch kind {
	case "device":
		return DeviceEndpoint(name), CheckThing(name)
	case "function":
		return Endpoint{Function, name}, CheckThing(name)
	case "gpio":
		return Endpoint{GPIO, name}, CheckThing(name)
	}
	return Endpoint{}, fmt.Errorf("%q is no endpoint (write device:NAME, function:NAME, gpio:NAME, shadow or cloud)", s)
}

// MaxThing is the longest thing name in bytes (AWS IoT CreateThing API).
const MaxThing = 128

// CheckThing returns an error that says what is wrong with a thing name: 1 to
// 128 of a-z A-Z 0-9 : _ - (AWS IoT CreateThing API). Functions and pins follow
// the same rule.
func CheckThing(name string) error {
	if name == "" {
		return fmt.Errorf("a name is empty")
	}
	if len(name) > MaxThing {
		return fmt.Errorf("the name %q... is %d bytes long, more than %d", strings.ToValidUTF8(name[:16], ""), len(name), MaxThing)
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ':' || c == '_' || c == '-') {
			return fmt.Errorf("the name %q holds %q (allowed are a-z A-Z 0-9 : _ -)", name, c)
		}
	}
	return nil
}

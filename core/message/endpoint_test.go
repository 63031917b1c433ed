package message_test

import (
	"strings"
	"testing"

	"greengate/core/message"
)

func TestParseEndpoint(t *testing.T) {
	device := message.DeviceEndpoint
	for _, c := range []struct {
		text string
		want message.Endpoint
		back string // what String writes; empty: text
	}{
		{"lamp", device("lamp"), ""},
		{"device:lamp", device("lamp"), "lamp"},
		{"device:a:b", device("a:b"), ""}, // a thing name may hold colons
		{"device:function:x", device("function:x"), ""},
		{"device:cloud", device("cloud"), ""},
		{"device:shadow", device("shadow"), ""},
		{"device", device("device"), ""},
		{"cloud", message.Endpoint{Kind: message.Cloud}, ""},
		{"shadow", message.Endpoint{Kind: message.Shadow}, ""},
		{"function:f", message.Endpoint{Kind: message.Function, Name: "f"}, ""},
		{"function:cloud", message.Endpoint{Kind: message.Function, Name: "cloud"}, ""},
		{"gpio:red", message.Endpoint{Kind: message.GPIO, Name: "red"}, ""},
		{"gpio:a:b", message.Endpoint{Kind: message.GPIO, Name: "a:b"}, ""},
	} {
		got, err := message.ParseEndpoint(c.text)
		if err != nil || got != c.want {
			t.Errorf("ParseEndpoint(%q) = %+v, %v; want %+v", c.text, got, err, c.want)
		}
		if c.back == "" {
			c.back = c.text
		}
		if s := got.String(); s != c.back {
			t.Errorf("%q comes back as %q, want %q", c.text, s, c.back)
		}
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	for _, c := range []struct{ text, fault string }{
		{"", "an endpoint is empty"},
		{"device:", "name is empty"},
		{"function:", "name is empty"},
		{"gpio:", "name is empty"},
		{"device:*", `holds '*'`},
		{"*", `holds '*'`},
		{"label:sensor", `"label:sensor" is no endpoint`},
		{"cloud:x", `"cloud:x" is no endpoint`},
		{"shadow:x", `"shadow:x" is no endpoint`},
		{"Device:x", `"Device:x" is no endpoint`},
		{":x", `":x" is no endpoint`},
		{"two words", `holds ' '`},
		{"lämp", `holds 'ä'`},
		{strings.Repeat("a", 129), "129 bytes"},
		{"device:" + strings.Repeat("a", 129), "129 bytes"},
	} {
		t.Run(c.text, func(t *testing.T) {
			_, err := message.ParseEndpoint(c.text)
			wantFault(t, err, c.fault)
		})
	}
}

func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"lamp", "device:cloud", "cloud", "function:a:b", "gpio:", "label:x", "device:device:x", "shadow:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := message.ParseEndpoint(s)
		if err != nil {
			return
		}
		back, err := message.ParseEndpoint(e.String())
		if err != nil || back != e {
			t.Errorf("%q is %+v, written %q, read %+v, %v", s, e, e.String(), back, err)
		}
		if len(e.String()) > len(s) {
			t.Errorf("%q is written longer, %q", s, e.String())
		}
		if named := e.Kind != message.Cloud && e.Kind != message.Shadow; named && message.CheckThing(e.Name) != nil {
			t.Errorf("%q is an endpoint with the name %q", s, e.Name)
		}
	})
}

// Every endpoint with a legal name survives being written.
func TestEndpointRoundTrip(t *testing.T) {
	kinds := []message.Kind{message.Device, message.Function, message.GPIO}
	for _, name := range []string{"a", "a:b", ":", "::", "cloud", "shadow", "device", "device:cloud", "label:x", "gpio:", strings.Repeat("z", 128)} {
		for _, kind := range kinds {
			e := message.Endpoint{Kind: kind, Name: name}
			if got, err := message.ParseEndpoint(e.String()); err != nil || got != e {
				t.Errorf("%+v is written %q and read %+v, %v", e, e.String(), got, err)
			}
		}
	}
}

func TestKindString(t *testing.T) {
	for kind, want := range map[message.Kind]string{
		0: "unknown", message.Device: "device", message.Function: "function", message.GPIO: "gpio",
		message.Shadow: "shadow", message.Cloud: "cloud", message.Cloud + 1: "unknown", 255: "unknown",
	} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d is %q, want %q", kind, got, want)
		}
	}
}

func TestCheckThing(t *testing.T) {
	for _, c := range []struct{ name, thing, fault string }{
		{"of no byte", "", "empty"},
		{"of one byte", "x", ""},
		{"of 128 bytes", strings.Repeat("x", 128), ""},
		{"of 129 bytes", strings.Repeat("x", 129), "129 bytes long, more than 128"},
		{"all that is allowed", "azAZ09:_-", ""},
		{"slash", "a/b", `holds '/'`},
		{"wildcard", "a+", `holds '+'`},
		{"NUL", "a\x00", `holds '\x00'`},
		{"dollar", "${from}", `holds '$'`},
		{"dot", "a.b", `holds '.'`},
		{"the letter is named, not its first byte", "Küche", `holds 'ü'`},
		{"not UTF-8", "a\xff", `"a\xff" holds`},
		// The name is cut for the error in the middle of a letter.
		{"long and beyond ASCII", strings.Repeat("温", 60), `"温温温温温"... is 180 bytes`},
		{"long and not UTF-8", strings.Repeat("\xff", 200), "200 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) { wantFault(t, message.CheckThing(c.thing), c.fault) })
	}
}

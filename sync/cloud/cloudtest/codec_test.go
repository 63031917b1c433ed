package cloudtest_test

import (
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// What the standards call malformed or a protocol error ends the connection,
// in MQTT 5 with this code; 0 is an end without a word.
func TestStrictness(t *testing.T) {
	connect5as := func(rest string) string { return "\x10" + string(rune(len(rest))) + rest }
	for name, x := range map[string]struct {
		connect, packet string
		code            byte
	}{
		"a length of 5 bytes":              {string(connect5), "\x30\xff\xff\xff\xff\x01", 0x81},
		"a length not in its shortest":     {string(connect5), "\xc0\x80\x00", 0x81},
		"QoS 3":                            {string(connect5), "\x36\x05\x00\x01t\x00\x01", 0x81},
		"DUP with QoS 0":                   {string(connect5), "\x38\x04\x00\x01t\x00", 0x81},
		"packet id 0":                      {string(connect5), "\x32\x06\x00\x01t\x00\x00\x00", 0x82},
		"a topic that is not UTF-8":        {string(connect5), "\x30\x04\x00\x01\xff\x00", 0x81},
		"a topic with U+0000":              {string(connect5), "\x30\x04\x00\x01\x00\x00", 0x81},
		"a field beyond the end":           {string(connect5), "\x30\x03\x00\x05t", 0x81},
		"a publish without topic or alias": {string(connect5), "\x30\x03\x00\x00\x00", 0x82},
		"a wildcard in a topic":            {string(connect5), "\x30\x04\x00\x01#\x00", 0x90},
		"a subscription id in a publish":   {string(connect5), "\x30\x06\x00\x01t\x02\x0b\x01", 0x82},
		"a property twice":                 {string(connect5), "\x30\x08\x00\x01t\x04\x01\x00\x01\x00", 0x82},
		"an unknown property":              {string(connect5), "\x30\x06\x00\x01t\x02\x7f\x00", 0x82},
		"topic alias 0":                    {string(connect5), "\x30\x07\x00\x01t\x03\x23\x00\x00", 0x94},
		"topic alias 9":                    {string(connect5), "\x30\x07\x00\x01t\x03\x23\x00\x09", 0x94},
		"an alias for nothing":             {string(connect5), "\x30\x06\x00\x00\x03\x23\x00\x01", 0x82},
		"SUBSCRIBE with wrong flags":       {string(connect5), "\x80\x07\x00\x01\x00\x00\x01t\x00", 0x81},
		"SUBSCRIBE without filters":        {string(connect5), "\x82\x03\x00\x01\x00", 0x82},
		"reserved subscription options":    {string(connect5), "\x82\x07\x00\x01\x00\x00\x01t\xc0", 0x81},
		"retain handling 3":                {string(connect5), "\x82\x07\x00\x01\x00\x00\x01t\x30", 0x81},
		"No Local on a shared one":         {string(connect5), "\x82\x10\x00\x01\x00\x00\x0a$share/g/t\x04", 0x82},
		"UNSUBSCRIBE without filters":      {string(connect5), "\xa2\x03\x00\x01\x00", 0x82},
		"a second CONNECT":                 {string(connect5), string(connect5), 0x82},
		"PUBREL":                           {string(connect5), "\x62\x02\x00\x01", 0x82},
		"AUTH":                             {string(connect5), "\xf0\x00", 0x82},
		"a server's packet":                {string(connect5), "\xd0\x00", 0x82},
		"a PUBACK for nothing":             {string(connect5), "\x40\x02\x00\x07", 0x82},
		"PINGREQ with a body":              {string(connect5), "\xc0\x01\x00", 0x81},
		"DISCONNECT with flags":            {string(connect5), "\xe1\x00", 0x81},
		"an expiry where there was none":   {string(connect5), "\xe0\x07\x00\x05\x11\x00\x00\x00\x01", 0x82},
		"a packet too large":               {string(connect5), "\x30\xff\xff\x7f", 0x95},
		"3.1.1: malformed":                 {string(connect4), "\x36\x05\x00\x01t\x00\x01", 0},
		"3.1.1: options of MQTT 5":         {string(connect4), "\x82\x06\x00\x01\x00\x01t\x04", 0},
		"CONNECT, a property twice":        {"", connect5as("\x00\x04MQTT\x05\x02\x00\x3c\x06\x21\x00\x01\x21\x00\x01\x00\x01w"), 0x82},
		"CONNECT, reserved flag":           {"", connect5as("\x00\x04MQTT\x05\x03\x00\x3c\x00\x00\x01w"), 0},
		"CONNECT, will flags without will": {"", connect5as("\x00\x04MQTT\x05\x22\x00\x3c\x00\x00\x01w"), 0},
		"CONNECT, bytes too many":          {"", connect5as("\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01wx"), 0},
		"CONNECT, password alone":          {"", connect5as("\x00\x04MQTT\x04\x42\x00\x3c\x00\x01w\x00\x01p"), 0},
		"not a CONNECT":                    {"", "\xc0\x00", 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{})
			var w *wire
			if x.connect == "" {
				w = &wire{dial(t, c, "w"), t}
			} else {
				w = wireClient(t, c, []byte(x.connect))
			}
			w.send([]byte(x.packet))
			first, body := w.packet()
			if first == 0x20 { // a CONNACK of MQTT 5
				first, body = 0xE0, body[1:]
			}
			if x.code == 0 && first != 0 || x.code != 0 && (first != 0xE0 || body[0] != x.code) {
				t.Errorf("packet %#x %x, want the end with %#x", first, body, x.code)
			}
		})
	}
}

// What a CONNECT is refused with.
func TestConnectIsRefused(t *testing.T) {
	for name, x := range map[string]struct {
		connect string
		code    byte
	}{
		"MQTT 3.1":                {"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01w", 1},
		"MQTT 6":                  {"\x10\x0d\x00\x04MQTT\x06\x02\x00\x3c\x00\x01w", 1},
		"no id, no clean session": {"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00", 2},
		"an id with $":            {"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02$w", 0x85},
		"a will with QoS 2":       {"\x10\x14\x00\x04MQTT\x05\x16\x00\x3c\x00\x00\x01w\x00\x00\x01t\x00\x00", 0x9B},
		"enhanced authentication": {"\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x04\x15\x00\x01a\x00\x01w", 0x82},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{})
			w := &wire{dial(t, c, "w"), t}
			w.send([]byte(x.connect))
			if first, body := w.packet(); first != 0x20 || body[1] != x.code {
				t.Errorf("packet %#x %x, want CONNACK %#x", first, body, x.code)
			}
			if first, _ := w.packet(); first != 0 {
				t.Errorf("the connection lives")
			}
		})
	}
}

func TestTopicAliasesOfTheClient(t *testing.T) {
	c := start(t, cloudtest.Options{})
	w := wireClient(t, c, connect5)
	w.send([]byte("\x32\x0a\x00\x01t\x00\x01\x03\x23\x00\x08x"))
	w.send([]byte("\x32\x09\x00\x00\x00\x02\x03\x23\x00\x08y"))
	if got := w.acks(2); got[0] != 2 {
		t.Errorf("PUBACKs %v", got)
	}
	r := c.Received()
	if len(r) != 2 || r[0].Topic != "t" || r[1].Topic != "t" || string(r[1].Payload) != "y" {
		t.Errorf("received %+v", r)
	}
}

func TestAssignedClientID(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x, err := tryConnect(t, dial(t, c, "core"), "")
	if err != nil || x.connack.Properties.AssignedClientID == "" {
		t.Fatalf("CONNACK %+v (%v)", x.connack, err)
	}
	if got := c.Status().Clients; len(got) != 1 || got[0].ID != x.connack.Properties.AssignedClientID || got[0].Thing != "core" {
		t.Errorf("clients %+v", got)
	}
}

package cloud

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"greengate/core/message"
)

// What we write is what the standard says, byte for byte.
func TestPackets(t *testing.T) {
	full := &Publish{Topic: "t", Payload: []byte("x"), Expiry: 1500 * time.Millisecond, Properties: &message.Properties{
		PayloadIsUTF8: true, ContentType: "c", ResponseTopic: "r", CorrelationData: []byte{9}, User: []message.UserProperty{{Name: "k", Value: "v"}}}}
	numbered := func(d dialect, p *Publish) []byte {
		b := d.publish(p)
		number(b, 0x0102)
		return b
	}
	con := connect{id: "gw", keepAlive: time.Minute, sessionExpiry: time.Hour, receiveMaximum: 100, maximumPacket: 0x030000}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"connect 5", mqtt5{}.connect(con), "101c 00044d515454 05 00 003c 0d 210064 2700030000 1100000e10 00026777"},
		{"connect 5, clean", mqtt5{}.connect(connect{id: "gw", keepAlive: time.Minute, clean: true, receiveMaximum: 1, maximumPacket: 2}),
			"1017 00044d515454 05 02 003c 08 210001 2700000002 00026777"},
		{"connect 3.1.1", mqtt311{}.connect(con), "100e 00044d515454 04 00 003c 00026777"},
		{"publish 5", numbered(mqtt5{}, &Publish{Topic: "a/b", Payload: []byte("hi"), Retain: true}), "330a 0003612f62 0102 00 6869"},
		{"publish 5, full", numbered(mqtt5{}, full), "3221 000174 0102 1a 0101 0200000002 03000163 08000172 09000109 2600016b000176 78"},
		{"publish 3.1.1", numbered(mqtt311{}, full), "3206 000174 0102 78"},
		{"subscribe 5", mqtt5{}.subscribe(1, []Subscription{{"a", 1}, {"#", 0}}), "820b 0001 00 00016101 00012300"},
		{"subscribe 3.1.1", mqtt311{}.subscribe(1, []Subscription{{"a", 1}, {"#", 0}}), "820a 0001 00016101 00012300"},
		{"unsubscribe 5", mqtt5{}.unsubscribe(1, []string{"a"}), "a206 0001 00 000161"},
		{"unsubscribe 3.1.1", mqtt311{}.unsubscribe(1, []string{"a"}), "a205 0001 000161"},
		{"puback 5", mqtt5{}.puback(1), "4004 0001 00 00"},
		{"puback 3.1.1", mqtt311{}.puback(1), "4002 0001"},
		{"ping 5", mqtt5{}.ping(), "c000"},
		{"ping 3.1.1", mqtt311{}.ping(), "c000"},
		{"disconnect 5", mqtt5{}.disconnect(0x93), "e002 93 00"},
		{"disconnect 3.1.1", mqtt311{}.disconnect(0x93), "e000"},
	} {
		if got := hex.EncodeToString(c.got); got != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
	long := mqtt5{}.publish(&Publish{Topic: "t", Payload: make([]byte, 20000)})
	number(long, 7)
	if p, err := (mqtt5{}).decode(long); err != nil || p.(received).id != 7 {
		t.Errorf("a long packet is %v", err)
	}
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name    string
		d       dialect
		packet  string
		want    any
		problem string
	}{
		{"connack 5", mqtt5{}, "200b 01 00 08 210014 27000000ff", connack{session: true, receiveMaximum: 20, maximumPacket: 255}, ""},
		{"connack 5, limits", mqtt5{}, "200a 00 00 07 13001e 2400 2500", connack{keepAlive: 30 * time.Second, receiveMaximum: 65535, noRetain: true, noQoS1: true}, ""},
		{"connack 5, refused", mqtt5{}, "2007 00 97 04 1f000178", connack{code: 0x97, reason: "x", receiveMaximum: 65535}, ""},
		{"connack 3.1.1, 7", mqtt311{}, "2002 00 07", connack{code: notAuthorized, receiveMaximum: 65535}, ""},
		{"puback 5, short", mqtt5{}, "4002 0005", puback{id: 5}, ""},
		{"puback 5, code", mqtt5{}, "4003 0005 87", puback{id: 5, code: 0x87}, ""},
		{"puback 3.1.1", mqtt311{}, "4002 0005", puback{id: 5}, ""},
		{"suback 5", mqtt5{}, "9005 ffff 00 01 87", suback{id: 0xFFFF, codes: []byte{1, 0x87}}, ""},
		{"suback 3.1.1", mqtt311{}, "9004 ffff 01 80", suback{id: 0xFFFF, codes: []byte{1, 0x80}}, ""},
		{"disconnect 5", mqtt5{}, "e001 8e", disconnect{code: 0x8E}, ""},
		{"disconnect 5, empty", mqtt5{}, "e000", disconnect{}, ""},
		{"publish 5", mqtt5{}, "3307 000174 0003 00 78", received{3, &Publish{Topic: "t", Payload: []byte("x"), QoS: 1, Retain: true}}, ""},
		{"publish 3.1.1", mqtt311{}, "3004 000174 78", received{0, &Publish{Topic: "t", Payload: []byte("x")}}, ""},
		{"alias", mqtt5{}, "3009 000174 03 230001 7878", nil, "topic alias"},
		{"QoS 2", mqtt5{}, "3406 000174 0003 00", nil, "QoS 2"},
		{"QoS 2, 3.1.1", mqtt311{}, "3405 000174 0003", nil, "QoS 2"},
		{"CONNECT from a server", mqtt5{}, "100e 00044d515454 05 00 003c 00 000161", nil, "may not send CONNECT"},
		{"PINGREQ from a server", mqtt311{}, "c000", nil, "may not send PINGREQ"},
		{"cut", mqtt5{}, "3003 000574", nil, "malformed"},
		{"properties beyond the end", mqtt5{}, "3206 000174 0009 78", nil, "its properties do not end in it"},
		{"a property that is no UTF-8", mqtt5{}, "300b 000174 07 26 0001ff 000176", nil, "no packet may carry"},
		{"a response topic that is a filter", mqtt5{}, "300a 000174 06 08 0003612f23", nil, "no packet may carry"},
		{"packet id 0", mqtt5{}, "3206 000174 0000 00", nil, "no packet id"},
		{"packet id 0, 3.1.1", mqtt311{}, "3205 000174 0000", nil, "no packet id"},
		{"cut, 3.1.1", mqtt311{}, "3003 000574", nil, "< 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(strings.ReplaceAll(c.packet, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode(c.d, b)
			if c.problem != "" {
				if err == nil || !strings.Contains(err.Error(), c.problem) {
					t.Errorf("%+v, error %v, want %q", got, err, c.problem)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestReadPacketIsBounded(t *testing.T) {
	for in, problem := range map[string]string{
		"\x30\xff\xff\xff\x7f": "more than the 100 allowed", "\x30\xff\xff\xff\xff\x01": "malformed", "\x30\x05ab": "unexpected EOF", "\x30": "unexpected EOF", "": "EOF",
	} {
		if _, err := readPacket(bufio.NewReader(strings.NewReader(in)), 100); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v, want %q", in, err, problem)
		}
	}
}

// A cloud that sends anything at all makes no panic, and nothing of it is half
// read.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"200b0100082100142700000fff", "4002", "9003ffff00", "e0028e00", "330700017400030078", "3003000574", "c000", "90020001"} {
		b, _ := hex.DecodeString(s)
		f.Add(b, true)
		f.Add(b, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, five bool) {
		packet, err := readPacket(bufio.NewReader(bytes.NewReader(b)), 1<<16)
		if err != nil {
			return
		}
		d := newDialect(MQTT311)
		if five {
			d = newDialect(MQTT5)
		}
		if p, err := decode(d, packet); err == nil && p == nil {
			t.Error("neither a packet nor an error")
		}
	})
}

package broker_test

import (
	"slices"
	"strings"
)

// streamSeeds are streams of a client that FuzzStream begins with, with and without their
// CONNECT. Those of one version are nonsense in the other, which is a seed too.
func streamSeeds() [][]byte {
	id := []byte{0, 7}
	pub := func(first byte, topic string, parts ...[]byte) []byte {
		return packet(first, append([][]byte{text(topic)}, parts...)...)
	}
	user := slices.Concat([]byte{0x26}, text("k"), text("v"))
	props := slices.Concat([]byte{1, 1, 2, 0, 0, 0, 9, 3}, text("text"), []byte{8}, text("back/r"), []byte{9}, text("id"), user, user)
	sub3 := packet(0x82, id, text("back/#"), []byte{1}, text("down/+"), []byte{2}, text("#"), []byte{0}, text("open/#/x"), []byte{0})
	sub5 := packet(0x82, id, properties(slices.Concat([]byte{0x0B, 0x80, 1}, user)...), text("back/#"), []byte{0x0D}, text("down/+"), []byte{0x12}, text("$share/g/t"), []byte{0})
	qos2 := slices.Concat(pub(0x34, "back/2", id, []byte("2")), pub(0x3C, "back/2", id, []byte("2")), packet(0x62, id), packet(0x62, id))
	acks := slices.Concat(packet(0x40, id), packet(0x50, id), packet(0x62, id), packet(0x70, id), packet(0x40, []byte{0, 1}), packet(0x50, []byte{0, 1}), packet(0x70, []byte{0, 1}))
	streams := [][]byte{
		nil,
		slices.Concat(sub3, pub(0x30, "back/1", []byte("x")), pub(0x33, "open/kept", id, []byte("y")), qos2, acks, []byte{0xC0, 0, 0xE0, 0}),
		slices.Concat(sub5, pub(0x32, "open/1", id, properties(props...), []byte("x")), pub(0x30, "back/1", properties(0x23, 0, 1), []byte("a")),
			pub(0x30, "", properties(0x23, 0, 1), []byte("b")), packet(0xE0, []byte{4}, properties(0x11, 0, 0, 0, 9))),
		slices.Concat(sub5, pub(0x34, "back/2", id, properties(), []byte("2")), packet(0x62, id), packet(0x50, []byte{0, 1, 0x80}), packet(0x70, []byte{0, 1, 0x92}, properties(slices.Concat([]byte{0x1F}, text("why"))...))),
		slices.Concat(packet(0xA2, id, text("back/#"), text("x")), packet(0xA2, id, properties(user...), text("back/#"))),
		slices.Concat(sub3, pub(0x31, "back/kept", []byte("k")), pub(0x31, "back/kept"), pub(0x30, "private/x", []byte("no")), pub(0x30, "$SYS/x", []byte("no"))),
		slices.Concat(packet(0xF0, []byte{0x18}, properties(0x15, 0, 1, 'm')), []byte{0xC0, 0}),
		[]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, 't'}, []byte{0x32, 0x80, 0x80, 0x80, 0x80, 1}, []byte{0, 0}, []byte("GET / HTTP/1.1\r\n\r\n"),
		packet(0x30, text(strings.Repeat("/", 1000)), []byte("levels")),
		packet(0x82, id, text(strings.Repeat("+/", 500)+"#"), []byte{1}),
	}
	connects := [][]byte{
		streamConnect(1), streamConnect(2 | modeKeep), streamConnect(3),
		packet(0x10, text("MQTT"), []byte{4, 0xEE, 0, 9}, text("fuzz"), text("open/w"), text("w"), text("u"), text("p")),
		packet(0x10, text("MQTT"), []byte{5, 0xF6, 0, 9}, properties(slices.Concat([]byte{0x11, 0xFF, 0xFF, 0xFF, 0xFF, 0x21, 0, 1, 0x22, 0, 9, 0x27, 0, 0, 1, 0, 0x17, 0, 0x19, 1}, user)...),
			text("fuzz"), properties(append([]byte{0x18, 0, 0, 0, 9}, props...)...), text("open/w"), text("w"), text("u"), text("p")),
		packet(0x10, text("MQTT"), []byte{5, 2, 0, 0}, properties(slices.Concat([]byte{0x15}, text("SCRAM"), []byte{0x16}, text("data"))...), text("fuzz")),
		packet(0x10, text("MQTT"), []byte{4, 2, 0, 0}, text("witness")), packet(0x10, text("MQTT"), []byte{5, 2, 0, 0, 0}, text("")),
		packet(0x10, text("MQIsdp"), []byte{3, 2, 0, 0}, text("fuzz")), packet(0x10, text("MQTT"), []byte{0x84, 2, 0, 0}, text("fuzz")), packet(0x10, text("MQTT"), []byte{6, 2}),
	}
	all := slices.Clone(streams)
	for i, c := range connects {
		all = append(all, c, slices.Concat(c, streams[1+i%3]))
	}
	return all
}

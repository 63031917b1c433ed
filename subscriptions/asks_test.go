package subscriptions_test

import (
	"testing"

	"greengate/core/message"
)

// A function gets what rows lead to it, and of its shadow rows what it watches: the
// answers to its requests it has had.
func TestFunctionsAreNotCalledWithAnswers(t *testing.T) {
	f := message.Endpoint{Kind: message.Function, Name: "aggregate"}
	shadow := message.Endpoint{Kind: message.Shadow}
	const lamp = "$aws/things/lamp/shadow/"
	for _, c := range []struct {
		rows, topic string
		asks        int // the row; -1: none
	}{
		{`[{from: "function:aggregate", shadow: lamp, may: [get, update]}]`, lamp + "update/accepted", -1},
		{`[{from: "function:aggregate", shadow: lamp, may: [get, update]}]`, lamp + "name/n/get/rejected", -1},
		{`[{from: "function:aggregate", shadow: lamp, may: [update, watch]}]`, lamp + "update/documents", 0},
		{`[{from: "function:aggregate", shadow: lamp, may: [update, watch]}]`, lamp + "update/accepted", -1},
		{"- {from: \"function:aggregate\", shadow: lamp, may: [update]}\n- {from: shadow, topic: " + lamp + "update/accepted, to: \"function:aggregate\"}", lamp + "update/accepted", 1},
	} {
		m := compile(t, c.rows).Lookup(shadow, c.topic)
		if m == nil {
			t.Fatalf("%s: nobody may have %s", c.rows, c.topic)
		}
		if _, may := m.Allows(f); !may {
			t.Errorf("%s: the function may not have %s", c.rows, c.topic)
		}
		if row, ok := m.Asks(c.topic, f); ok != (c.asks >= 0) || ok && row != c.asks {
			t.Errorf("%s: row %d, %t asks for %s, want %d", c.rows, row, ok, c.topic, c.asks)
		}
	}
}

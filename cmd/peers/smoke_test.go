package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain makes this test binary mochi or the relay when it is started as that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == serveMochiCommand || os.Args[1] == serveRelayCommand) {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestSmoke measures a little with all that is real but mosquitto, so that the
// program works when somebody needs it. It looks at no figure but the messages that
// must not be lost.
func TestSmoke(t *testing.T) {
	b, err := newBench(t.Context(), options{
		runs: 1, servers: "greengate,mochi,relay", flatOut: times{50 * time.Millisecond, 200 * time.Millisecond},
	}, t.TempDir(), home)
	if err != nil {
		t.Fatal(err)
	}
	some := func(qos byte) load {
		l := pairsOf(64, qos)
		l.publishers, l.subscribers = 2, 2
		return l
	}
	both, alone := flatOut("S", "both", home, some(1)), flatOut("S", "alone", home, some(0))
	alone.kinds = []kind{relay}
	r, err := b.measure(t.Context(), []scenario{both, alone})
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if _, err := r.writeTable(&table, []scenario{both, alone}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "unacknowledged | 0 | - | 0 | 0 |") {
		t.Errorf("want all but mosquitto measured, and nothing lost: got\n%s", &table)
	}
}

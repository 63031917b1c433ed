package main

import "testing"

// TestDivideDescriptors: whatever the limit is, the gateway keeps at least half of it or
// what it needs, and every door has some.
func TestDivideDescriptors(t *testing.T) {
	for _, c := range []struct{ limit, functions, listeners, own int }{
		{64, 0, 1, 24}, {256, 0, 1, 128}, {256, 10, 2, 128}, {1024, 0, 1, 192}, {1024, 2, 2, 256},
		{16384, 0, 1, 192}, {16384, 20, 3, 832}, {1 << 20, 0, 1, 192},
	} {
		d := divide(c.limit, c.functions, c.listeners)
		discovery, page := min(d.discovery, 256)*c.listeners, min(d.page, 128)
		if left := c.limit - d.broker - discovery - page; left < c.own {
			t.Errorf("of %d the gateway keeps %d with %+v, want %d", c.limit, left, d, c.own)
		}
		if d.broker < 8 || d.discovery < 4 || d.page < 4 {
			t.Errorf("of %d a door has too few: %+v", c.limit, d)
		}
	}
}

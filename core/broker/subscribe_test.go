package broker

import (
	"slices"
	"testing"
)

// What was checked can be read, whatever the bytes.
func FuzzReadFilters(f *testing.F) {
	f.Add([]byte{0, 7, 0, 1, 'a', 1, 0, 3, 'b', '/', '#', 2}, false)
	f.Add([]byte{0, 7, 2, propSubscription, 5, 0, 1, 'a', 0x2D}, true)
	f.Add([]byte{0, 7, 7, propUser, 0, 1, 'k', 0, 1, 'v', 0, 1, 'a', 1}, true)
	f.Fuzz(func(t *testing.T, body []byte, v5 bool) {
		for _, kind := range []byte{typeSubscribe, typeUnsubscribe} {
			if checkFilters(kind, body, v5) != nil {
				continue
			}
			id, _, all := readFilters(kind, body, v5)
			filters := slices.Collect(all)
			if id == 0 || len(filters) == 0 {
				t.Errorf("packet %d: id %d, %d filters", kind, id, len(filters))
			}
			for _, a := range filters {
				if a.qos() > 2 {
					t.Errorf("packet %d: QoS %d for %q", kind, a.qos(), a.filter)
				}
			}
		}
	})
}

func TestReadFilters(t *testing.T) {
	body := []byte{1, 2, 9, propUser, 0, 1, 'k', 0, 1, 'v', propSubscription, 5, 0, 1, 'a', 0x2D, 0, 3, 'b', '/', '#', 2}
	id, subID, all := readFilters(typeSubscribe, body, true)
	filters := slices.Collect(all)
	if id != 0x102 || subID != 5 || len(filters) != 2 {
		t.Fatalf("id %#x, subscription identifier %d, %d filters", id, subID, len(filters))
	}
	if a := filters[0]; string(a.filter) != "a" || a.qos() != 1 || a.wantsRetained(false) {
		t.Errorf("the first filter is %q with QoS %d, and retained messages: %v", a.filter, a.qos(), a.wantsRetained(false))
	}
	if a := filters[1]; string(a.filter) != "b/#" || a.qos() != 2 || !a.wantsRetained(true) {
		t.Errorf("the second filter is %q with QoS %d, and retained messages: %v", a.filter, a.qos(), a.wantsRetained(true))
	}
}

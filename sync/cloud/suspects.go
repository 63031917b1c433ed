package cloud

import (
	"fmt"
	"time"
)

// suspects finds the subscription that the cloud cuts the connection for. That
// is AWS's answer of old, in MQTT 3.1.1, to a filter that the policy does not
// allow: one such filter would keep the gateway from its cloud for ever. After
// such a cut the filters are asked for one by one; the one at which the cloud
// cuts twice is left out for an hour, or until Refresh. It belongs to Run.
type suspects struct {
	alone bool
	cuts  map[string]int
	until map[string]time.Time // left out
}

// leftOut is for how long: then the policy may have been put right.
const leftOut = time.Hour

// add takes note that the cloud closed the connection instead of answering the
// request for these.
func (s *suspects) add(some []Subscription) {
	s.alone = true
	if len(some) > 1 {
		return
	}
	if s.cuts == nil {
		s.cuts, s.until = make(map[string]int), make(map[string]time.Time)
	}
	filter := some[0].Filter
	if s.cuts[filter]++; s.cuts[filter] == 2 {
		delete(s.cuts, filter)
		s.until[filter] = time.Now().Add(leftOut)
	}
}

// part takes out those that are left out now, with a fault for each.
func (s *suspects) part(all []Subscription) (rest []Subscription, faults []string) {
	for _, sub := range all {
		if time.Now().Before(s.until[sub.Filter]) {
			faults = append(faults, fmt.Sprintf("the cloud refused the subscription %q: it closes the connection (does the policy of the core allow iot:Subscribe?)", sub.Filter))
			continue
		}
		rest = append(rest, sub)
	}
	return rest, faults
}

// perPacket is how many filters to ask for at once.
func (s *suspects) perPacket(limit int) int {
	if s.alone {
		return 1
	}
	return limit
}

package main

import (
	"testing"

	"greengate/configs"
	"greengate/sync/cloud"
)

// An account in a region is one cloud, by whichever of its ports; another endpoint is
// another cloud.
func TestPlanTellsOfAnotherCloud(t *testing.T) {
	const aws = "xxxx-ats.iot.eu-west-1.amazonaws.com"
	for _, c := range []struct {
		endpoint string
		port     int
		other    bool
	}{
		{aws, 8883, false}, {aws, 443, false}, {"XXXX-ats.iot.eu-west-1.amazonaws.com.", 8883, false},
		{"xxxx-ats.iot.eu-west-2.amazonaws.com", 8883, true}, {"yyyy-ats.iot.eu-west-1.amazonaws.com", 443, true}, {aws, 8884, true},
	} {
		now := &configs.Config{Cloud: &cloud.Config{Endpoint: aws, Port: 8883}}
		next := &configs.Config{Cloud: &cloud.Config{Endpoint: c.endpoint, Port: c.port}}
		if notes := cloudNotes(now, next); (len(notes) > 0) != c.other {
			t.Errorf("%s:%d: the notes are %q", c.endpoint, c.port, notes)
		}
	}
}

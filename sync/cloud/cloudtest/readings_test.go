package cloudtest_test

import (
	"errors"
	"strings"
	"testing"

	"greengate/sync/cloud/cloudtest"
)

// An update with a version, of a shadow that is not there.
func TestVersionOfMissing(t *testing.T) {
	for name, x := range map[string]struct {
		reading    cloudtest.MissingVersion
		zero, five int // the codes that 0 and 5 are answered with; 0: accepted
	}{
		"conflicts":    {cloudtest.MissingConflicts, 409, 409},
		"is taken":     {cloudtest.MissingTaken, 0, 0},
		"zero":         {cloudtest.MissingZero, 0, 409},
		"is bad":       {cloudtest.MissingBad, 400, 400},
		"is not found": {cloudtest.MissingIsNotFound, 404, 404},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{NoData: true, Readings: cloudtest.Readings{MissingVersion: x.reading}})
			for version, want := range map[string]int{"0": x.zero, "5": x.five} {
				_, err := c.UpdateShadow("lamp"+version, "", []byte(`{"state":{},"version":`+version+`}`))
				var e *cloudtest.ShadowError
				if errors.As(err, &e); want == 0 && err != nil || want != 0 && (e == nil || e.Code != want) {
					t.Errorf("version %s: %v, want %d", version, err, want)
				}
			}
		})
	}
}

func TestReadingsOfDocuments(t *testing.T) {
	for name, x := range map[string]struct {
		readings        cloudtest.Readings
		update          string
		accepted, state string // metadata of accepted; state of get
	}{
		"nulls leave an object":  {cloudtest.Readings{}, `{"a":{"b":null}}`, `{"reported":{"a":{"b":{"timestamp":1}}}}`, `{"reported":{"x":1,"a":{}}}`},
		"nulls leave nothing":    {cloudtest.Readings{NullsLeaveNothing: true}, `{"a":{"b":null,"c":{"d":null}},"e":{},"x":{"y":null}}`, `{"reported":{"a":{"b":{"timestamp":1},"c":{"d":{"timestamp":1}}},"e":{},"x":{"y":{"timestamp":1}}}}`, `{"reported":{"e":{}}}`},
		"nulls have no metadata": {cloudtest.Readings{NullsUnstamped: true}, `{"a":{"b":null},"x":null}`, `{"reported":{"a":{}}}`, `{"reported":{"a":{}}}`},
		"an array has one stamp": {cloudtest.Readings{ArrayStamp: true}, `{"a":[1,{"b":2}]}`, `{"reported":{"a":{"timestamp":1}}}`, `{"reported":{"x":1,"a":[1,{"b":2}]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, cloudtest.Options{NoData: true, Readings: x.readings})
			if _, err := c.UpdateShadow("lamp", "", []byte(`{"state":{"reported":{"x":1}}}`)); err != nil {
				t.Fatal(err)
			}
			answer, err := c.UpdateShadow("lamp", "", []byte(`{"state":{"reported":`+x.update+`}}`))
			if err != nil {
				t.Fatal(err)
			}
			sameJSON(t, "metadata", field(t, answer, "metadata"), x.accepted)
			if answer, err = c.GetShadow("lamp", ""); err != nil {
				t.Fatal(err)
			}
			sameJSON(t, "state", field(t, answer, "state"), x.state)
		})
	}
}

func TestSizePerSection(t *testing.T) {
	c := start(t, cloudtest.Options{NoData: true, Limits: cloudtest.Limits{ShadowDocument: 100}, Readings: cloudtest.Readings{SizePerSection: true}})
	text := strings.Repeat("x", 80)
	if _, err := c.UpdateShadow("lamp", "", []byte(`{"state":{"desired":{"a":"`+text+`"},"reported":{"a":"`+text+`"}}}`)); err != nil {
		t.Error(err)
	}
	if _, err := c.UpdateShadow("lamp", "", []byte(`{"state":{"desired":{"b":"`+text+`"}}}`)); err == nil {
		t.Error("a section of 170 bytes was taken")
	}
}

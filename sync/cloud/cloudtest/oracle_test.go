package cloudtest_test

import (
	"testing"

	"greengate/sync/cloud/cloudtest"
)

func TestVerdict(t *testing.T) {
	for name, x := range map[string]struct {
		arrived []int
		sent    int
		want    string
		ok      bool
	}{
		"all well":               {[]int{1, 2, 3}, 3, "3 arrived, 0 duplicates", true},
		"again after a cut":      {[]int{1, 2, 3, 2, 3, 4}, 4, "4 arrived, 2 duplicates", true},
		"lost":                   {[]int{1, 3}, 4, "2 arrived, 0 duplicates, 2 lost (the first {p 2})", false},
		"overtaken":              {[]int{1, 3, 2, 4}, 4, "4 arrived, 0 duplicates, 1 reordered (the first {p 2})", false},
		"more than was sent":     {[]int{1, 2}, 1, "2 arrived, 0 duplicates, 1 unexpected (the first {p 2})", false},
		"nothing came":           {nil, 1, "0 arrived, 0 duplicates, 1 lost (the first {p 1})", false},
		"a late one, and again":  {[]int{2, 1, 1}, 2, "2 arrived, 1 duplicates, 1 reordered (the first {p 1})", false},
		"nothing, and none sent": {nil, 0, "0 arrived, 0 duplicates", true},
	} {
		t.Run(name, func(t *testing.T) {
			var tally cloudtest.Tally
			tally.Add([]byte(`{"temperature":20}`)) // not numbered
			for _, seq := range x.arrived {
				tally.Add(cloudtest.Number{Publisher: "p", Seq: seq}.Payload())
			}
			v := tally.Verdict(map[string]int{"p": x.sent})
			if v.String() != x.want || v.OK() != x.ok {
				t.Errorf("%v: %s, want %s", v.OK(), v, x.want)
			}
		})
	}
}

func TestCountJudgesTheRecord(t *testing.T) {
	c := start(t, cloudtest.Options{})
	x := connect(t, c, "core")
	for _, seq := range []int{1, 3} {
		x.publish("t", string(cloudtest.Number{Publisher: "core", Seq: seq}.Payload()))
	}
	if v := c.Count(map[string]int{"core": 3}); v.Arrived != 2 || len(v.Lost) != 1 || v.Lost[0].Seq != 2 {
		t.Errorf("verdict %s", v)
	}
}

package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"greengate/configs"
	"greengate/core/message"
	"greengate/subscriptions"
)

// A filter is left out exactly when message.Covers says so of another one.
func TestCloudFiltersLeaveOutWhatOthersCover(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	words := []string{"a", "b", "+", "$x", "", "${to}"}
	for range 3000 {
		var c configs.Config
		for range 1 + r.IntN(7) {
			levels := make([]string, 1+r.IntN(4))
			for i := range levels {
				levels[i] = words[r.IntN(len(words))]
			}
			if r.IntN(3) == 0 {
				levels[len(levels)-1] = "#"
			}
			topic := strings.Join(levels, "/")
			if topic == "" {
				topic = "a"
			}
			c.Subscriptions = append(c.Subscriptions, subscriptions.Row{From: subscriptions.Ends{"cloud"}, Topic: topic})
		}
		var got []string
		for _, s := range cloudFilters(&c) {
			got = append(got, s.Filter)
		}
		var all []string
		for _, row := range c.Subscriptions {
			all = append(all, strings.ReplaceAll(row.Topic, "${to}", "+"))
		}
		for _, f := range all {
			covered := slices.ContainsFunc(all, func(g string) bool { return g != f && message.Covers(g, f) }) ||
				slices.ContainsFunc(got, func(g string) bool { return g != f && message.Covers(g, f) })
			if slices.Contains(got, f) == covered {
				t.Fatalf("%q covered: %v; of %q are left %q", f, covered, all, got)
			}
		}
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"greengate/core/admin/client"
	"greengate/sync/shadows"
)

type shadowKey struct{ thing, name string }

// reportSync tells how the shadows stand with those of the cloud, and returns the first
// of them one by one.
func (g *gateway) reportSync(ctx context.Context, s *client.Status) map[shadowKey]*client.ShadowSync {
	if g.uplink == nil {
		return nil
	}
	st := g.uplink.sync.Stats()
	s.Shadows.Sync = &client.SyncStats{
		Shadows: st.Shadows, InStep: st.InStep, Ahead: st.Ahead, Behind: st.Behind, Asking: st.Asking, Blocked: st.Blocked,
		Conflicted: st.Conflicted, Listing: st.Listing, Asked: st.Asked, Written: st.Written, Applied: st.Applied, Conflicts: st.Conflicts,
		Rejected: map[string]uint64{}, Unknown: st.Unknown, Retries: st.Retries,
	}
	for code, n := range st.Rejected {
		s.Shadows.Sync.Rejected[strconv.Itoa(code)] = n
	}
	list := map[shadowKey]*client.ShadowSync{}
	err := g.uplink.sync.Status(ctx, "", func(i shadows.State) bool {
		list[shadowKey{i.Thing, i.Name}] = shadowSync(&i)
		return len(list) < 2*listedShadows // some have no document here
	})
	if err != nil {
		s.Faults = append(s.Faults, client.Fault{Component: "sync", Message: "the shadows in sync cannot be listed: " + err.Error()})
	}
	return list
}

// reportSyncFaults tells what is wrong with all of it.
func (g *gateway) reportSyncFaults(s *client.Status) {
	if g.uplink == nil {
		return
	}
	for _, text := range g.uplink.sync.Faults() {
		s.Faults = append(s.Faults, client.Fault{
			Component: "sync", Message: text,
			NextStep: "see the shadows above; `greengate cloud policy` prints the policy that the core needs, and after a reload all is tried again",
		})
	}
}

// listUrgent adds the shadows that are not in step to a list that lacks them: since it
// is full, or since there is no document here, but one in the cloud that has not
// heard of a deletion, or that the gateway could not take.
func (g *gateway) listUrgent(ctx context.Context, s *client.Status) {
	if g.uplink == nil {
		return
	}
	urgent, err := g.uplink.sync.Urgent(ctx, listedShadows)
	if err != nil {
		s.Faults = append(s.Faults, client.Fault{Component: "sync", Message: err.Error()})
	}
	for _, i := range urgent {
		listed := slices.ContainsFunc(s.Shadows.List, func(l client.Shadow) bool { return l.Thing == i.Thing && l.Name == i.Name })
		if !listed {
			s.Shadows.List = append(s.Shadows.List, client.Shadow{Thing: i.Thing, Name: i.Name, Version: i.LocalVersion, Sync: shadowSync(&i)})
		}
	}
}

func shadowSync(i *shadows.State) *client.ShadowSync {
	one := &client.ShadowSync{State: i.State, Why: i.Why, Direction: i.Direction.String(), CloudVersion: i.CloudVersion}
	if !i.LastConflict.IsZero() {
		one.LastConflict = &i.LastConflict
	}
	return one
}

// writeSync is the line of the status about the sync of all shadows.
func writeSync(out io.Writer, s *client.SyncStats) {
	if s == nil || s.Shadows == 0 && !s.Listing {
		return
	}
	var words []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{s.InStep, "in step"}, {s.Ahead, "ahead of the cloud"}, {s.Behind, "behind it"}, {s.Asking, "to be asked for"},
		{s.Blocked, "blocked"},
	} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if s.Listing {
		words = append(words, "named ones being listed")
	}
	fmt.Fprintf(out, "  synced with the cloud: %s; %s so far\n", strings.Join(words, ", "), counted(int64(s.Conflicts), "conflict"))
}

// syncWords tell how one shadow stands with the cloud.
func syncWords(s *client.ShadowSync) string {
	if s == nil {
		return "local"
	}
	words := strings.ReplaceAll(s.State, "-", " ")
	if s.State == shadows.InStep {
		words += " with the cloud"
	}
	if s.Why != "" {
		words += " (" + s.Why + ")"
	}
	if s.LastConflict != nil {
		words += ", conflict " + clock(*s.LastConflict)
	}
	return words
}

package main

import (
	"context"
	"fmt"
	"io"
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
		Conflicted: st.Conflicted, Asked: st.Asked, Written: st.Written, Applied: st.Applied, Conflicts: st.Conflicts,
		Rejected: map[string]uint64{}, Unknown: st.Unknown, Retries: st.Retries,
	}
	for code, n := range st.Rejected {
		s.Shadows.Sync.Rejected[strconv.Itoa(code)] = n
	}
	list := map[shadowKey]*client.ShadowSync{}
	err := g.uplink.sync.Status(ctx, "", func(i shadows.State) bool {
		list[shadowKey{i.Thing, i.Name}] = shadowSync(&i)
		return len(list) < listedShadows
	})
	if err != nil {
		s.Faults = append(s.Faults, client.Fault{Component: "sync", Message: "the shadows in sync cannot be listed: " + err.Error()})
	}
	for _, text := range g.uplink.sync.Faults() {
		s.Faults = append(s.Faults, client.Fault{Component: "sync", Message: text})
	}
	return list
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
	if s == nil || s.Shadows == 0 {
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

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/localshadow"
)

// answerShadowHistory gives the newest entries of a shadow's journal.
func (g *gateway) answerShadowHistory(w http.ResponseWriter, r *http.Request) {
	thing, name := shadowOf(r)
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err == nil {
		err = checkLimit(limit)
	}
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return
	}
	entries, err := g.shadows.History(r.Context(), thing, name, limit, 0)
	if err != nil {
		answerShadow(w, nil, err)
		return
	}
	h := client.ShadowHistory{Thing: thing, Name: name, Entries: make([]client.ShadowEntry, len(entries))}
	for i := range entries {
		h.Entries[i] = historyEntry(&entries[i])
	}
	admin.Answer(w, http.StatusOK, h)
}

func historyEntry(e *localshadow.Entry) client.ShadowEntry {
	n := client.ShadowEntry{
		ID: e.ID, Version: e.Version, First: e.First, At: time.UnixMilli(e.At).UTC(), Deleted: e.Deleted,
		Source: client.ShadowSource(e.Source),
	}
	for _, c := range e.Changes {
		n.Changes = append(n.Changes, client.ShadowChange(c))
	}
	for _, c := range e.Conflicts {
		n.Conflicts = append(n.Conflicts, client.ShadowConflict(c))
	}
	return n
}

// answerShadowDiff compares a shadow with that of the cloud.
func (g *gateway) answerShadowDiff(w http.ResponseWriter, r *http.Request) {
	if g.uplink == nil {
		admin.Refuse(w, http.StatusNotFound, errors.New("the gateway has no cloud: its group file has no cloud section, so its shadows are here only"))
		return
	}
	thing, name := shadowOf(r)
	if _, synced := syncedThings(g.current().config)[thing]; !synced {
		admin.Refuse(w, http.StatusNotFound, fmt.Errorf("the shadows of %q are not synced with the cloud (only those of the core and of devices with `shadow: sync` are)", thing))
		return
	}
	d, err := g.uplink.sync.Diff(r.Context(), thing, name)
	if err != nil {
		answerShadow(w, nil, err)
		return
	}
	answer := client.ShadowDiff{
		Thing: thing, Name: name, LocalVersion: d.LocalVersion, CloudVersion: d.CloudVersion,
		Local: d.Local, Cloud: d.Cloud, Leaves: []client.ShadowLeaf{},
	}
	for _, l := range d.Leaves {
		answer.Leaves = append(answer.Leaves, client.ShadowLeaf{
			Section: l.Section, Path: pointer(l.Path), Local: l.Local, Cloud: l.Cloud, CloudAt: l.CloudAt,
		})
	}
	admin.Answer(w, http.StatusOK, answer)
}

// answerRevertShadow makes a shadow what it was.
func (g *gateway) answerRevertShadow(w http.ResponseWriter, r *http.Request) {
	version, err := strconv.ParseInt(r.URL.Query().Get("version"), 10, 64)
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, fmt.Errorf("read the version: %w", err))
		return
	}
	sections := localshadow.Desired
	if r.URL.Query().Get("reported") != "" {
		sections |= localshadow.Reported
	}
	g.changeShadow(w, r, "revert", func(ctx context.Context, thing, name string) ([]byte, error) {
		return g.shadows.Revert(ctx, thing, name, version, sections, operator)
	})
}

// pointer writes a path as a JSON Pointer (RFC 6901).
func pointer(path []string) string {
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(escape.Replace(step))
	}
	return b.String()
}

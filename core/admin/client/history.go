package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ShadowHistory is the answer of `greengate shadow history --json`, newest first.
type ShadowHistory struct {
	Thing   string        `json:"thing"`
	Name    string        `json:"name"` // "" for the classic shadow
	Entries []ShadowEntry `json:"entries"`
}

// ShadowEntry is one line of a shadow's journal: a change, or a conflict that changed
// nothing here.
type ShadowEntry struct {
	ID      int64 `json:"id"`
	Version int64 `json:"version"` // after it
	// First is less than Version for a row of updates that changed nothing.
	First     int64            `json:"first"`
	At        time.Time        `json:"at"`
	Source    ShadowSource     `json:"source"`
	Deleted   bool             `json:"deleted,omitempty"`
	Changes   []ShadowChange   `json:"changes,omitempty"`
	Conflicts []ShadowConflict `json:"conflicts,omitempty"`
}

// ShadowSource is who changed a shadow.
type ShadowSource struct {
	Kind   string `json:"kind"`             // device, function, gpio, operator, cloud
	Name   string `json:"name,omitempty"`   // the thing of a device, for example
	Detail string `json:"detail,omitempty"` // of a device the SHA-256 fingerprint of its certificate
}

// ShadowChange is a value that was set, changed or removed; a side without a value is
// absent.
type ShadowChange struct {
	Section string          `json:"section"` // desired or reported
	Path    string          `json:"path"`    // JSON Pointer in the section; "" for all of it
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
}

// ShadowConflict is a value that the gateway and the cloud had both changed.
type ShadowConflict struct {
	Section string          `json:"section"` // "" for the document as a whole
	Path    string          `json:"path"`
	Local   json.RawMessage `json:"local,omitempty"`
	Cloud   json.RawMessage `json:"cloud,omitempty"`
	Base    json.RawMessage `json:"base,omitempty"` // the last value that both had
	Winner  string          `json:"winner"`         // local or cloud
}

// ShadowDiff is the answer of `greengate shadow diff --json`: where the document of the
// gateway and the last one known of the cloud differ.
type ShadowDiff struct {
	Thing        string          `json:"thing"`
	Name         string          `json:"name"`
	LocalVersion int64           `json:"local_version"` // 0: there is none
	CloudVersion int64           `json:"cloud_version"` // 0: there is none, or it is not known
	Local        json.RawMessage `json:"local"`
	Cloud        json.RawMessage `json:"cloud"`
	Leaves       []ShadowLeaf    `json:"leaves"`
}

// ShadowLeaf is one value that differs; a side without a value is absent.
type ShadowLeaf struct {
	Section string          `json:"section"`
	Path    string          `json:"path"`
	Local   json.RawMessage `json:"local,omitempty"`
	Cloud   json.RawMessage `json:"cloud,omitempty"`
	CloudAt int64           `json:"cloud_at,omitempty"` // Unix seconds, by the cloud's clock
}

// ShadowHistory returns the newest entries of a shadow's journal, limit at most.
func (c *Client) ShadowHistory(ctx context.Context, thing, name string, limit int) (h ShadowHistory, err error) {
	q := shadowQuery(thing, name)
	q.Set("limit", strconv.Itoa(limit))
	err = c.call(ctx, http.MethodGet, "/v1/shadow/history", q, nil, &h)
	return h, err
}

// ShadowDiff compares a shadow with the cloud's, as it was last known.
func (c *Client) ShadowDiff(ctx context.Context, thing, name string) (d ShadowDiff, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/shadow/diff", shadowQuery(thing, name), nil, &d)
	return d, err
}

// RevertShadow makes the desired section of a shadow, and with reported that one too,
// equal to what it was at a version, and returns the accepted document.
func (c *Client) RevertShadow(ctx context.Context, thing, name string, version int64, reported bool) (accepted json.RawMessage, err error) {
	q := shadowQuery(thing, name)
	q.Set("version", strconv.FormatInt(version, 10))
	if reported {
		q.Set("reported", "1")
	}
	err = c.call(ctx, http.MethodPost, "/v1/shadow/revert", q, nil, &accepted)
	return accepted, err
}

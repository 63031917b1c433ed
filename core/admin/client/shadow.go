package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Shadow is one shadow in a list.
type Shadow struct {
	Thing   string    `json:"thing"`
	Name    string    `json:"name"` // "" for the classic shadow
	Version int64     `json:"version"`
	Updated time.Time `json:"updated"`
	Bytes   int       `json:"bytes"`
	Delta   bool      `json:"delta"` // desired and reported differ
	// Sync is how it stands with the cloud; absent when it is not synced.
	Sync *ShadowSync `json:"sync,omitempty"`
}

// ShadowSync is how a shadow stands with that of the cloud.
type ShadowSync struct {
	State        string     `json:"state"`         // in-step, ahead, behind, asking, blocked
	Why          string     `json:"why,omitempty"` // of blocked, or of a wait
	Direction    string     `json:"direction"`     // both, up, down
	CloudVersion int64      `json:"cloud_version"` // 0: the cloud has none, or it is not known
	LastConflict *time.Time `json:"last_conflict,omitempty"`
}

// ShadowList is the answer of `greengate shadow list --json`.
type ShadowList struct {
	Shadows []Shadow `json:"shadows"`
}

// The methods below ask the shadow service. Name is "" for the classic shadow.
// Documents are those of the service, as they are. A *Refusal has the code and the
// message of the service's rejection; nothing was changed then.

// Shadow returns the document of a shadow.
func (c *Client) Shadow(ctx context.Context, thing, name string) (document json.RawMessage, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/shadow", shadowQuery(thing, name), nil, &document)
	return document, err
}

// UpdateShadow sends an update request, and returns the accepted document when it
// is on the daemon's disk.
func (c *Client) UpdateShadow(ctx context.Context, thing, name string, request []byte) (accepted json.RawMessage, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/shadow", shadowQuery(thing, name), request, &accepted)
	return accepted, err
}

// DeleteShadow deletes a shadow, and returns what the service says of that.
func (c *Client) DeleteShadow(ctx context.Context, thing, name string) (accepted json.RawMessage, err error) {
	err = c.call(ctx, http.MethodDelete, "/v1/shadow", shadowQuery(thing, name), nil, &accepted)
	return accepted, err
}

// Shadows lists the shadows of a thing, or of all things when thing is "", in the
// order of their names.
func (c *Client) Shadows(ctx context.Context, thing string) (list ShadowList, err error) {
	q := url.Values{}
	if thing != "" {
		q.Set("thing", thing)
	}
	err = c.call(ctx, http.MethodGet, "/v1/shadows", q, nil, &list)
	return list, err
}

func shadowQuery(thing, name string) url.Values {
	q := url.Values{"thing": {thing}}
	if name != "" {
		q.Set("name", name)
	}
	return q
}

package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Learned is the answer of `greengate learn show --json`.
type Learned struct {
	Recording      bool      `json:"recording"` // it goes on
	StartedAt      time.Time `json:"started_at"`
	ElapsedSeconds int64     `json:"elapsed_seconds"` // of the recording, without the time that no daemon ran
	ForSeconds     int64     `json:"for_seconds"`     // how long it is to last
	Restarts       int       `json:"restarts"`        // of the daemon since its start
	Messages       uint64    `json:"messages"`        // that it saw, one for each target
	Missed         uint64    `json:"missed"`          // that found no room in it
	Exact          bool      `json:"exact"`           // rows without + and #
	// Refused counts the flows that were refused, Since those of them that the
	// rows of the file allow by now. Rows allow the others, but for Still.
	Refused int           `json:"refused"`
	Since   int           `json:"allowed_since"`
	Rows    []LearnedRow  `json:"rows"`
	Open    []LearnedRow  `json:"open"` // rows whose receiver is not known
	Still   []LearnedFlow `json:"still_refused"`
	Notes   []string      `json:"notes"` // what to know of the recording
}

// LearnedRow is a row to paste under `subscriptions`.
type LearnedRow struct {
	Text    string   `json:"text"`
	Flows   int      `json:"flows"`   // of those recorded, how many it allows
	Besides []string `json:"besides"` // what else it allows; empty: nothing
}

// LearnedFlow is a source, a topic and a receiver.
type LearnedFlow struct {
	From   string `json:"from"`
	Topic  string `json:"topic"`
	To     string `json:"to"`    // empty: not known
	Count  uint64 `json:"count"` // messages of the source on the topic
	Reason string `json:"reason"`
}

// LearnState is the answer to a start or an end of a recording.
type LearnState struct {
	Recording      bool   `json:"recording"`
	ForSeconds     int64  `json:"for_seconds"`
	ElapsedSeconds int64  `json:"elapsed_seconds"`
	Messages       uint64 `json:"messages"`
}

// Usage is what a recording knows of the flows that rows allow.
type Usage struct {
	ElapsedSeconds int64      `json:"elapsed_seconds"`
	Complete       bool       `json:"complete"` // nothing was left out for want of room
	Flows          []UsedFlow `json:"flows"`
}

// UsedFlow is a source and a topic with all who could receive.
type UsedFlow struct {
	From  string   `json:"from"`
	Topic string   `json:"topic"`
	To    []string `json:"to"`
	Count uint64   `json:"count"`
}

// LearnStart begins a recording.
func (c *Client) LearnStart(ctx context.Context, d time.Duration) (s LearnState, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/learn/start", url.Values{"for": {d.String()}}, nil, &s)
	return s, err
}

// LearnStop ends the recording.
func (c *Client) LearnStop(ctx context.Context) (s LearnState, err error) {
	err = c.call(ctx, http.MethodPost, "/v1/learn/stop", nil, nil, &s)
	return s, err
}

// Learned returns the rows that would allow what was refused; exact: without
// wildcards.
func (c *Client) Learned(ctx context.Context, exact bool) (*Learned, error) {
	q := url.Values{}
	if exact {
		q.Set("exact", "1")
	}
	l := new(Learned)
	if err := c.call(ctx, http.MethodGet, "/v1/learn", q, nil, l); err != nil {
		return nil, err
	}
	return l, nil
}

// Usage returns what was recorded of allowed flows.
func (c *Client) Usage(ctx context.Context) (*Usage, error) {
	u := new(Usage)
	if err := c.call(ctx, http.MethodGet, "/v1/learn/usage", nil, nil, u); err != nil {
		return nil, err
	}
	return u, nil
}

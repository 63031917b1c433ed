package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Quarantined says which messages in quarantine are meant: those of Seqs, or those whose
// topic matches Topic, or those of a function, or all; or, to be discarded, what cannot be
// read for want of a key, also what is not in quarantine.
type Quarantined struct {
	Seqs       []int64 `json:"seqs,omitempty"`
	Topic      string  `json:"topic,omitempty"`    // a topic filter
	Function   string  `json:"function,omitempty"` // not of the spool
	All        bool    `json:"all,omitempty"`
	Unreadable bool    `json:"unreadable,omitempty"`
}

// Requeued is the answer of `greengate spool requeue --json`, and of discard.
type Requeued struct {
	Messages int `json:"messages"`
	// NoRow is how many stay, since no row leads them there any more.
	NoRow int `json:"no_row"`
}

// RequeueSpool puts messages in quarantine back to the end of the queue.
func (c *Client) RequeueSpool(ctx context.Context, which Quarantined) (Requeued, error) {
	return c.quarantine(ctx, "/v1/spool/requeue", which)
}

// DiscardSpool deletes messages in quarantine.
func (c *Client) DiscardSpool(ctx context.Context, which Quarantined) (Requeued, error) {
	return c.quarantine(ctx, "/v1/spool/discard", which)
}

func (c *Client) quarantine(ctx context.Context, path string, which Quarantined) (done Requeued, err error) {
	body, err := json.Marshal(which)
	if err != nil {
		return done, fmt.Errorf("write the request: %w", err)
	}
	err = c.call(ctx, http.MethodPost, path, nil, body, &done)
	return done, err
}

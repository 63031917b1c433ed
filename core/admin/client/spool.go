package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// SpoolStats is the answer of `greengate spool stats --json`: what waits for the
// cloud, why, and what comes of it. Its lists are never null.
type SpoolStats struct {
	Spool               // as in status
	OldestAt *time.Time `json:"oldest_at,omitempty"` // when the message that waits longest came
	Clock    string     `json:"clock,omitempty"`     // what that time is worth: synced, corrected or unsynced
	InFlight int        `json:"in_flight"`           // sent and not yet gone from the disk
	// UnackedSeconds is how long ago the first of them without acknowledgement was sent.
	UnackedSeconds int64 `json:"unacked_seconds"`

	Priorities []SpoolPriority `json:"priorities"` // high, normal, low
	Rows       []SpoolRow      `json:"rows"`       // those of which something waits, the most first

	// Messages a second: mean of the last minute; what the file allows.
	IntakeRate      float64 `json:"intake_rate"`
	DrainRate       float64 `json:"drain_rate"`
	AllowedMessages int     `json:"allowed_messages"`
	AllowedBytes    int64   `json:"allowed_bytes"` // a second

	// Sent counts what the cloud has acknowledged since the start; Spared, of it, what it
	// acknowledged before it had to be on the disk.
	Sent   uint64 `json:"sent"`
	Spared uint64 `json:"spared"`

	Expired uint64   `json:"expired"` // since the start
	Dropped []Reason `json:"dropped"` // since the start

	Quarantine []SpoolMessage `json:"quarantine"` // the first of them

	Cloud  Cloud    `json:"cloud"`
	Faults []string `json:"faults"` // of the link and the spool
}

// SpoolPriority is what waits of a priority.
type SpoolPriority struct {
	Priority string `json:"priority"`
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// SpoolRow is what waits of a row of the subscription table. The file may not have
// it any more.
type SpoolRow struct {
	Row      string `json:"row"`
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
}

// SpoolMessage is a message that waits, or is in quarantine, without its payload.
type SpoolMessage struct {
	Seq        int64     `json:"seq"`
	Source     string    `json:"source"`
	Topic      string    `json:"topic"`
	Priority   string    `json:"priority"`
	Row        string    `json:"row"`
	Time       time.Time `json:"time"`
	Clock      string    `json:"clock"`
	TTLSeconds float64   `json:"ttl_seconds,omitempty"`
	Retain     bool      `json:"retain,omitempty"`
	Bytes      int       `json:"bytes"`                // of the payload
	Quarantine string    `json:"quarantine,omitempty"` // why it is there; empty: it waits
	Locked     string    `json:"locked,omitempty"`     // the id of the key without which it cannot be read
}

// SpoolList is the answer of `greengate spool list --json`.
type SpoolList struct {
	Messages    []SpoolMessage `json:"messages"`
	Waiting     int64          `json:"waiting"`     // in all
	Quarantined int64          `json:"quarantined"` // in all
}

// The methods below are refused, with a *Refusal, by a gateway without a cloud.

// SpoolStats asks what waits for the cloud, and why.
func (c *Client) SpoolStats(ctx context.Context) (st SpoolStats, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/spool", nil, nil, &st)
	return st, err
}

// SpoolList lists at most limit messages, in the order in which they would go;
// those in quarantine come last.
func (c *Client) SpoolList(ctx context.Context, limit int) (list SpoolList, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/spool/list", url.Values{"limit": {strconv.Itoa(limit)}}, nil, &list)
	return list, err
}

// ExportSpool writes all messages to w, as a JSON document a line, and returns how
// many lines there were. An error means that the export is not whole.
func (c *Client) ExportSpool(ctx context.Context, w io.Writer) (lines int64, err error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/spool/export", nil, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	count := &lineCounter{w: w}
	if _, err := io.Copy(count, resp.Body); err != nil {
		return count.lines, fmt.Errorf("export the spool: %w", err)
	}
	return count.lines, nil
}

// lineCounter passes on what is written, and counts its lines.
type lineCounter struct {
	w     io.Writer
	lines int64
}

func (l *lineCounter) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	for _, b := range p[:n] {
		if b == '\n' {
			l.lines++
		}
	}
	return n, err
}

// MarshalJSON writes the empty lists as [].
func (s SpoolStats) MarshalJSON() ([]byte, error) {
	type plain SpoolStats // without this method
	p := plain(s)
	p.Priorities, p.Rows, p.Dropped = notNil(p.Priorities), notNil(p.Rows), notNil(p.Dropped)
	p.Quarantine, p.Faults = notNil(p.Quarantine), notNil(p.Faults)
	return json.Marshal(p)
}

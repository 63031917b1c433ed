package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// Function is a local function, as `greengate status --json` tells of it. What counts,
// counts since the start.
type Function struct {
	Name        string `json:"name"`
	Pinned      bool   `json:"pinned"`
	State       string `json:"state"` // idle, starting, running, backoff, failed or stopped
	Instances   int    `json:"instances"`
	Queued      int    `json:"queued"`       // calls that wait
	QueuedBytes int64  `json:"queued_bytes"` // of their payloads
	Running     int    `json:"running"`      // calls that instances have
	Durable     int    `json:"durable"`      // of both, those on the disk

	Calls       uint64 `json:"calls"`  // answered or failed, each try
	Errors      uint64 `json:"errors"` // of them, those that failed, by error, exit or timeout
	Timeouts    uint64 `json:"timeouts"`
	Retries     uint64 `json:"retries"`
	Restarts    uint64 `json:"restarts"` // instances that ended unasked
	Dropped     uint64 `json:"dropped"`  // calls that a bound gave up
	Skipped     uint64 `json:"skipped"`  // times of the schedule at which the last call still waited
	Refused     uint64 `json:"refused"`  // requests of instances that were out of order
	ReplyErrors uint64 `json:"reply_errors"`
	Quarantined int    `json:"quarantined"` // now

	LastError   string     `json:"last_error,omitempty"`
	LastErrorAt *time.Time `json:"last_error_at,omitempty"`
	// Of the answered calls, in milliseconds.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`

	MemoryBytes int64      `json:"memory_bytes"` // of all instances; -1: not known
	MemoryLimit int64      `json:"memory_limit"` // of one instance
	LogsDropped uint64     `json:"logs_dropped"` // lines
	NextStart   *time.Time `json:"next_start,omitempty"`
	NextTime    *time.Time `json:"next_time,omitempty"` // of the schedule
}

// Isolation is what closes functions in on this machine.
type Isolation struct {
	Landlock  int      `json:"landlock"`  // version of its interface; 0: the kernel has none
	Namespace bool     `json:"namespace"` // each sees files and processes of its own only
	Seccomp   bool     `json:"seccomp"`
	Cgroup    bool     `json:"cgroup"`  // the kernel counts memory and processes
	Missing   []string `json:"missing"` // what is open, a sentence each; never null
}

// FunctionList is the answer of `greengate function list --json`.
type FunctionList struct {
	Functions []Function `json:"functions"`
	Isolation Isolation  `json:"isolation"`
}

// FunctionLine is one line that a function wrote.
type FunctionLine struct {
	Time     time.Time `json:"time"`
	Stream   string    `json:"stream"` // stdout, stderr, or gateway for what it says about them
	Instance string    `json:"instance"`
	Text     string    `json:"text"`
}

// Call is an event for a function, and where it is from.
type Call struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload"` // base64
}

// Called is the answer of `greengate function invoke --json`. One of Payload, Base64 and
// Failure is there: JSON, other bytes as base64, or how the function failed.
type Called struct {
	Function   string          `json:"function"`
	Payload    json.RawMessage `json:"payload,omitempty"`
	Base64     []byte          `json:"payload_base64,omitempty"`
	Failure    *FunctionFault  `json:"failure,omitempty"`
	DurationMS float64         `json:"duration_ms"`
	Logs       []FunctionLine  `json:"logs"`
}

// FunctionFault is how a function reports that it failed.
type FunctionFault struct {
	Type    string   `json:"type"`
	Message string   `json:"message"`
	Trace   []string `json:"trace,omitempty"`
}

// QuarantinedCall is a call that failed as often as it was tried.
type QuarantinedCall struct {
	Seq      int64     `json:"seq"`
	Function string    `json:"function"`
	Row      string    `json:"row"`
	Reason   string    `json:"reason"`
	Cause    string    `json:"cause"`
	At       time.Time `json:"at"`
	ID       string    `json:"id"`
	Source   string    `json:"source"`
	Topic    string    `json:"topic"`
	Payload  []byte    `json:"payload"` // base64
}

// QuarantineList is the answer of `greengate function quarantine --json`.
type QuarantineList struct {
	Calls []QuarantinedCall `json:"calls"`
}

// Functions lists the functions of the group file.
func (c *Client) Functions(ctx context.Context) (list FunctionList, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/functions", nil, nil, &list)
	return list, err
}

// Invoke calls a function and waits for what comes of it.
func (c *Client) Invoke(ctx context.Context, function string, call Call) (called Called, err error) {
	body, err := json.Marshal(call)
	if err != nil {
		return called, fmt.Errorf("write the request: %w", err)
	}
	err = c.call(ctx, http.MethodPost, "/v1/functions/"+url.PathEscape(function)+"/invoke", nil, body, &called)
	return called, err
}

// FunctionLogs calls each with the last n lines of a function, the oldest first, and,
// to follow it, with those that come until ctx ends.
func (c *Client) FunctionLogs(ctx context.Context, function string, n int, follow bool, each func(FunctionLine)) error {
	q := url.Values{"n": {strconv.Itoa(n)}}
	if follow {
		q.Set("follow", "true")
	}
	resp, err := c.do(ctx, http.MethodGet, "/v1/functions/"+url.PathEscape(function)+"/logs", q, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
				return nil // the caller or the daemon has ended
			}
			return fmt.Errorf("read the lines of %s: %w", function, err)
		}
		var l FunctionLine
		if err := json.Unmarshal(bytes.TrimSpace(line), &l); err != nil {
			return fmt.Errorf("read the lines of %s: %w", function, err)
		}
		each(l)
	}
}

// QuarantinedCalls lists at most n calls in quarantine, of one function or, for "", of
// all, the oldest first.
func (c *Client) QuarantinedCalls(ctx context.Context, function string, n int) (list QuarantineList, err error) {
	q := url.Values{"function": {function}, "n": {strconv.Itoa(n)}}
	err = c.call(ctx, http.MethodGet, "/v1/functions/quarantine", q, nil, &list)
	return list, err
}

// RequeueCalls puts calls in quarantine back to the ends of their queues.
func (c *Client) RequeueCalls(ctx context.Context, which Quarantined) (Requeued, error) {
	return c.quarantine(ctx, "/v1/functions/requeue", which)
}

// DiscardCalls deletes calls in quarantine.
func (c *Client) DiscardCalls(ctx context.Context, which Quarantined) (Requeued, error) {
	return c.quarantine(ctx, "/v1/functions/discard", which)
}

// Package client holds the words of the control socket and the side of it that
// asks: `greengate status`, `explain`, `watch`, `shadow`, `gpio` and every command
// that makes a running daemon take up a changed file. It imports nothing of ours; core/admin
// and cmd/greengate may import it.
//
// A Client may be used by several goroutines at once.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrNotRunning means that no daemon answers on the socket: the file is absent,
// or was left by a daemon that is gone.
var ErrNotRunning = errors.New("the daemon is not running")

// Refusal is a daemon's answer that the request cannot be done as it stands.
type Refusal struct {
	Code    int    // HTTP status
	Message string // one fault a line
}

func (r *Refusal) Error() string { return r.Message }

// Failure is the body of every answer that is not a success.
type Failure struct {
	Error string `json:"error"`
}

// Reloaded is the answer to a reload that worked.
type Reloaded struct {
	Generation uint64   `json:"generation"`
	Waiting    []string `json:"waiting"` // keys that have changed and take effect at the next start only
}

// Event is what became of one message for one target, as `greengate watch`
// shows it. When Dropped is set, nothing else is: so many events were lost here
// because the watcher read too slowly.
type Event struct {
	Time    time.Time `json:"time"`
	Verdict string    `json:"verdict"` // delivered, queued, refused, dropped
	From    string    `json:"from"`
	Topic   string    `json:"topic"`
	To      string    `json:"to"` // empty when no row allowed the message
	Bytes   int       `json:"bytes"`
	Reason  string    `json:"reason,omitempty"`
	// The payload, if it was asked for: as it stands if it is a text, else as base64.
	Payload *string `json:"payload,omitempty"`
	Base64  string  `json:"payload_base64,omitempty"`
	Dropped int64   `json:"-"`
}

type lost struct {
	Dropped int64 `json:"dropped"`
}

// MarshalJSON writes either a message or `{"dropped": N}`.
func (e Event) MarshalJSON() ([]byte, error) {
	if e.Dropped > 0 {
		return json.Marshal(lost{e.Dropped})
	}
	type plain Event
	return json.Marshal(plain(e))
}

// UnmarshalJSON reads both forms.
func (e *Event) UnmarshalJSON(data []byte) error {
	type plain Event
	both := struct {
		plain
		lost
	}{}
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	*e = Event(both.plain)
	e.Dropped = both.lost.Dropped
	return nil
}

// Client asks one daemon.
type Client struct {
	http   *http.Client
	socket string
}

// New returns a client of the daemon with that control socket. It opens
// nothing.
func New(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, release, err := ShortPath(socket)
		if err != nil {
			return nil, err
		}
		defer release()
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks how the daemon is.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := new(Status)
	if err := c.call(ctx, http.MethodGet, "/v1/status", nil, nil, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Reload makes the daemon read its group file again. A *Refusal tells the
// faults of the file; the daemon then keeps the old table.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var r Reloaded
	err := c.call(ctx, http.MethodPost, "/v1/reload", nil, nil, &r)
	return r, err
}

// Explain asks what the table in force does with a message. to may be empty.
// The answer is the explanation of the subscriptions package, as JSON.
func (c *Client) Explain(ctx context.Context, from, topic, to string) (json.RawMessage, error) {
	q := url.Values{"from": {from}, "topic": {topic}}
	if to != "" {
		q.Set("to", to)
	}
	var raw json.RawMessage
	err := c.call(ctx, http.MethodGet, "/v1/explain", q, nil, &raw)
	return raw, err
}

// Watch calls each with the live events whose topic matches filter (all when it
// is empty), until ctx is cancelled or the daemon ends; it then returns nil.
// attached, if not nil, is called once the daemon listens to our wish.
func (c *Client) Watch(ctx context.Context, filter string, attached func(), each func(Event)) error {
	return c.WatchOnly(ctx, WatchFilter{Topic: filter}, attached, each)
}

// WatchOnly is Watch of the events that a filter lets through.
func (c *Client) WatchOnly(ctx context.Context, filter WatchFilter, attached func(), each func(Event)) error {
	resp, err := c.do(ctx, http.MethodGet, "/v1/watch", filter.Query(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if attached != nil {
		attached()
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 && err == nil {
			var e Event
			if err := json.Unmarshal(line, &e); err != nil {
				return fmt.Errorf("read event: %w", err)
			}
			each(e)
		}
		switch {
		case err == nil:
		case ctx.Err() != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
			return nil
		default:
			return fmt.Errorf("read events: %w", err)
		}
	}
}

func (c *Client) call(ctx context.Context, method, path string, q url.Values, body []byte, into any) error {
	resp, err := c.do(ctx, method, path, q, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read answer of %s: %w", path, err)
	}
	return nil
}

// do returns a successful answer, ErrNotRunning or a *Refusal.
func (c *Client) do(ctx context.Context, method, path string, q url.Values, content []byte) (*http.Response, error) {
	// The host is a form of words: the transport always dials the socket.
	req, err := http.NewRequestWithContext(ctx, method, "http://greengate"+path+"?"+q.Encode(), bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%w (no one answers on %s)", ErrNotRunning, c.socket)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("open %s: %w (run as root or as a member of the socket's group)", c.socket, syscall.EACCES)
	case err != nil:
		return nil, fmt.Errorf("ask the daemon: %w", unwrapURL(err))
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read refusal of %s: %w", path, err)
	}
	var f Failure
	if json.Unmarshal(body, &f) != nil || f.Error == "" {
		f.Error = fmt.Sprintf("%s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return nil, &Refusal{Code: resp.StatusCode, Message: f.Error}
}

// unwrapURL takes the made-up address out of an error of net/http.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

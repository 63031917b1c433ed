package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"greengate/sync/cloud/cloudtest"
)

// asker is a command that asks the running iotsim.
type asker struct {
	flags *flag.FlagSet
	dir   string
}

func newAsker(name string) *asker {
	a := &asker{flags: flag.NewFlagSet(name, flag.ContinueOnError)}
	dir := os.Getenv("IOTSIM_DIR")
	if dir == "" {
		dir = "."
	}
	a.flags.StringVar(&a.dir, "dir", dir, "folder of the running iotsim")
	return a
}

// ask sends one request and returns the answer's body.
func (a *asker) ask(ctx context.Context, method, path string, query url.Values, body string) ([]byte, error) {
	socket := filepath.Join(a.dir, socketName)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, "http://iotsim"+path+"?"+query.Encode(), strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask iotsim: %w", err)
	}
	resp, err := client.Do(r)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%s: %w", socket, errNotRunning)
	}
	if err != nil {
		return nil, fmt.Errorf("ask iotsim: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("ask iotsim: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(strings.TrimSpace(string(answer)))
	}
	return answer, nil
}

// post is for commands without an answer worth printing.
func (a *asker) post(ctx context.Context, path string, query url.Values, body string) error {
	_, err := a.ask(ctx, http.MethodPost, path, query, body)
	return err
}

func (a *asker) parse(args []string, least, most int) ([]string, error) {
	return parse(a.flags, args, least, most)
}

// status is `iotsim status`.
func status(ctx context.Context, args []string, out io.Writer) error {
	a := newAsker("status")
	asJSON := a.flags.Bool("json", false, "print JSON")
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	answer, err := a.ask(ctx, http.MethodGet, "/status", nil, "")
	if err != nil {
		return err
	}
	if *asJSON {
		_, err := out.Write(answer)
		return err
	}
	var r report
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	var faults struct{ Faults map[string]any }
	if err := json.Unmarshal(answer, &faults); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	return printStatus(out, r, faults.Faults)
}

func printStatus(out io.Writer, r report, faults map[string]any) error {
	fmt.Fprintf(out, "endpoint %s, MQTT on %s, data plane on %s\n", r.Name, r.Address, r.DataAddress)
	s := r.Status
	fmt.Fprintf(out, "publishes: %d taken, %d discarded, %d refused; %d sent to clients, %d dropped\n",
		s.Accepted, s.Discarded, s.Refused, s.Delivered, s.Dropped)
	fmt.Fprintf(out, "shadows: %d, retained messages: %d\n", s.Shadows, s.Retained)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range s.Clients {
		state := "away"
		if c.Connected {
			state = "connected from " + c.Address
		}
		fmt.Fprintf(w, "client %s\t%s\t%d subscriptions\t%d queued\t%d unacknowledged\n", c.ID, state, len(c.Filters), c.Queued, c.Unacked)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var names []string
	for name, value := range faults {
		if value != nil && value != false && value != 0.0 {
			names = append(names, fmt.Sprintf("fault %s: %v", name, value))
		}
	}
	slices.Sort(names)
	for _, v := range r.Violations {
		names = append(names, fmt.Sprintf("broken by %s: %s (%s)", v.Client, v.Rule, v.Detail))
	}
	for _, line := range names {
		fmt.Fprintln(out, line)
	}
	return nil
}

// listFaults is `iotsim faults`, which needs no running iotsim.
func listFaults(_ context.Context, args []string, out io.Writer) error {
	if _, err := parse(flag.NewFlagSet("faults", flag.ContinueOnError), args, 0, 0); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range cloudtest.FaultNames() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Name, f.Value, f.Does)
	}
	return w.Flush()
}

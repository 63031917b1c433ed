package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"greengate/sync/cloud/cloudtest"
)

// socketName is the control socket in DIR.
const socketName = "iotsim.sock"

// settings are the flags of run.
type settings struct {
	dir, listen, data, name string
	thing, out              string
	files                   cloudtest.Files
	noRates, quiet          bool
}

func parseRun(args []string) (s settings, err error) {
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	f.StringVar(&s.listen, "listen", "127.0.0.1:8884", "address of MQTT, and of HTTPS by ALPN")
	f.StringVar(&s.data, "data", "127.0.0.1:8443", "address of the HTTPS data plane; empty is none")
	f.StringVar(&s.name, "name", "localhost", "host name of the endpoint")
	f.StringVar(&s.thing, "core", "", "issue a certificate for this thing, the first time")
	f.StringVar(&s.out, "out", "", "folder of that certificate; DIR without")
	f.StringVar(&s.files.Certificate, "certificate", "", "its file")
	f.StringVar(&s.files.Key, "key", "", "the file of its key")
	f.StringVar(&s.files.CA, "ca", "", "the file of the CA's certificate")
	f.BoolVar(&s.noRates, "no-rates", false, "do without AWS's limits on rates")
	f.BoolVar(&s.quiet, "quiet", false, "print no messages")
	rest, err := parse(f, args, 1, 1)
	if err != nil {
		return s, err
	}
	s.dir = rest[0]
	if s.out == "" {
		s.out = s.dir
	}
	named := cloudtest.FilesIn(s.out, s.thing)
	for file, otherwise := range map[*string]string{
		&s.files.Certificate: named.Certificate, &s.files.Key: named.Key, &s.files.CA: named.CA,
	} {
		if *file == "" {
			*file = otherwise
		}
	}
	return s, nil
}

// runCloud is `iotsim run`.
func runCloud(ctx context.Context, args []string, out io.Writer) error {
	s, err := parseRun(args)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	control, err := listenControl(filepath.Join(s.dir, socketName))
	if err != nil {
		return err
	}
	defer control.Close()
	messages := make(chan cloudtest.Received, 1000)
	keeper := newKeeper(s.dir)
	cloud, err := makeCloud(s, messages, keeper)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "iotsim: MQTT on %s, data plane on %s, endpoint %s\n", cloud.Addr(), cloud.DataAddr(), cloud.Name())
	server := &http.Server{Handler: controlOf(cloud), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(control) }() // ends when control is closed
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		printMessages(ctx, out, messages, s.quiet)
	}()
	ended, kept := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(kept)
		keeper.run(cloud, ended)
	}()
	err = cloud.Run(ctx)
	_ = server.Close()
	close(ended)
	<-kept
	if ctx.Err() != nil {
		<-printed
	}
	return err
}

// makeCloud makes the cloud with its CA and what it has kept in DIR, and the core's credential.
func makeCloud(s settings, messages chan<- cloudtest.Received, keeper *keeper) (*cloudtest.Cloud, error) {
	ca, err := cloudtest.OpenAuthority(s.dir)
	if err != nil {
		return nil, err
	}
	o := cloudtest.Options{
		Name: s.name, CA: ca, NoData: s.data == "", Forget: true, OnKept: keeper.change,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		OnReceive: func(r cloudtest.Received) {
			select {
			case messages <- r:
			default: // who prints cannot keep up; the counters of status can
			}
		},
	}
	if s.noRates {
		o.Limits = cloudtest.NoRates()
	}
	if s.thing != "" && !exists(s.files.Certificate) {
		if err := os.MkdirAll(filepath.Dir(s.files.Certificate), 0o755); err != nil {
			return nil, fmt.Errorf("make the folder of the certificate: %w", err)
		}
		if err := ca.WriteFiles(s.files, s.thing); err != nil {
			return nil, fmt.Errorf("write the certificate of %s: %w", s.thing, err)
		}
	}
	if o.Listener, err = net.Listen("tcp", s.listen); err != nil {
		return nil, fmt.Errorf("listen for MQTT: %w", err)
	}
	if s.data != "" {
		if o.DataListener, err = net.Listen("tcp", s.data); err != nil {
			o.Listener.Close()
			return nil, fmt.Errorf("listen for the data plane: %w", err)
		}
	}
	c, err := cloudtest.New(o)
	if err != nil {
		return nil, err
	}
	return c, keeper.load(c)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// listenControl listens on the control socket. One that nobody listens on is
// left from a crash.
func listenControl(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("another iotsim runs already: it listens on %s", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for commands: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("keep the socket private: %w", err)
	}
	return l, nil
}

// printMessages prints what arrives, a line each, until ctx ends.
func printMessages(ctx context.Context, out io.Writer, messages <-chan cloudtest.Received, quiet bool) {
	next := 1
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-messages:
			if quiet {
				continue
			}
			if r.Order > next {
				fmt.Fprintf(out, "... %d more\n", r.Order-next)
			}
			next = r.Order + 1
			fmt.Fprintln(out, line(r))
		}
	}
}

// line is a message as a line: time, sender, topic, payload.
func line(r cloudtest.Received) string {
	from := r.Client
	if r.HTTPS {
		from = r.Thing + " (https)"
	}
	topic := r.Topic
	if r.Rule != "" {
		topic = "$aws/rules/" + r.Rule + "/" + topic
	}
	const most = 200
	payload, rest := r.Payload, ""
	if len(payload) > most {
		payload, rest = payload[:most], fmt.Sprintf("... (%d bytes)", len(r.Payload))
	}
	text := string(payload)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' }) {
		text = fmt.Sprintf("%q", payload)
	}
	return fmt.Sprintf("%s %s %s %s%s", r.At.Format(time.TimeOnly), from, topic, text, rest)
}

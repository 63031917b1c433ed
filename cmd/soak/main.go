// Command soak lets a built greengate work for hours, and tells whether it came
// out of that as it went in.
//
// It makes a site by the command line of greengate, runs the gateway and a
// stand-in for AWS IoT Core, and sends numbered messages through both over real
// TLS: from device to device, some exactly once, to the cloud and back, to shadows, to
// a function and to pins, retained ones, wills, over HTTPS. Meanwhile devices come and
// go and take over, readers stop reading, the function crashes, the cloud is away, and the
// group file changes. At the end every message that was acknowledged must have
// arrived, the ledger of the gateway must say of each row what the soak itself has
// counted, and memory, goroutines, descriptors and files must be what they were
// after a quarter of the time. The exit code is 0 when all of that is so, 1 when it
// is not, and 2 when the soak could not be made.
//
// Nobody imports it. It knows the gateway from outside: the words of the control
// socket (core/admin/client) and the stand-in (sync/cloud/cloudtest) are all it has
// of ours. Each flow, link and device may be used by any goroutine.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The function of a soak is this program, too.
	if len(os.Args) == 2 && os.Args[1] == "work" {
		fmt.Fprintln(os.Stderr, work(ctx))
		os.Exit(1)
	}
	os.Exit(soakMain(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// soakMain is the program with its arguments, and returns its exit code.
func soakMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(stderr)
	program := flags.String("greengate", "bin/greengate", "the program under test")
	hours := flags.Float64("hours", 1, "how long")
	rate := flags.Float64("rate", 500, "messages a second")
	pace := flags.Float64("pace", 1, "how many times faster than usual devices come and go, and the rest happens")
	burst := flags.Int("burst", 0, "messages that a sensor sends to the cloud at a time (default: once a second what it has)")
	every := flags.Duration("sample", 10*time.Second, "from one sample to the next")
	out := flags.String("out", "", "folder of the site, the log, the samples and the report (default: a new one)")
	if flags.Parse(args) != nil {
		return 2
	}
	if *hours <= 0 || *rate < 50 || *pace <= 0 || *every <= 0 {
		fmt.Fprintln(stderr, "soak: the hours, the pace and the time between samples must be more than 0, the rate at least 50")
		return 2
	}
	o := options{
		Program: *program, Out: *out, Duration: time.Duration(*hours * float64(time.Hour)), Rate: *rate, Pace: *pace, Burst: *burst,
		Sample: *every, Judge: true, Print: stdout, Log: slog.New(slog.NewTextHandler(stderr, nil)),
	}
	code, err := soakTo(ctx, o)
	if err != nil {
		fmt.Fprintln(stderr, "soak:", err)
		return 2
	}
	return code
}

func soakTo(ctx context.Context, o options) (code int, err error) {
	if o.Program, err = filepath.Abs(o.Program); err != nil {
		return 0, err
	}
	if o.Self, err = os.Executable(); err != nil {
		return 0, err
	}
	if o.Out == "" {
		o.Out, err = os.MkdirTemp("", "greengate-soak-")
	} else {
		err = os.MkdirAll(o.Out, 0o755)
	}
	if err != nil {
		return 0, fmt.Errorf("make the folder of the soak: %w", err)
	}
	r, err := run(ctx, o)
	if err != nil {
		return 0, err
	}
	text := r.String()
	fmt.Fprintf(o.Print, "\n%s\nThe samples, the log of the gateway and this report are in %s.\n", text, o.Out)
	if err := os.WriteFile(filepath.Join(o.Out, "report.md"), []byte(text), 0o644); err != nil {
		return 0, fmt.Errorf("write the report: %w", err)
	}
	if !r.well() {
		return 1, nil
	}
	return 0, nil
}

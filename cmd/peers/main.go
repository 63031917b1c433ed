// Command peers compares the built greengate with Debian's mosquitto and with a
// bare mochi, which is this program started a second time: the same load, the same
// keys, the same TLS, in turns; and, for what TLS alone costs, with a relay. It prints one table in Markdown, with the goals of
// the project, and what machine it was. `make bench-peers` runs it; docs/performance.md
// tells how it measures and how to read it.
//
// It is a tool, which nobody imports. To it greengate is a program with a command
// line and files, as for anybody else; of ours it imports nothing. One goroutine
// measures, one server at a time; the clients of a load have goroutines of their own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == serveMochiCommand:
		err = serveMochi(ctx, os.Args[2], os.Args[3])
	case len(os.Args) == 4 && os.Args[1] == serveRelayCommand:
		err = serveRelay(ctx, os.Args[2], os.Args[3])
	default:
		err = run(ctx, parse())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "peers: %v\n", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	runs          int
	only, servers string
	greengate     string
	strict        bool
	flatOut, slow times
	settled       time.Duration
}

func parse() (o options) {
	flag.IntVar(&o.runs, "runs", 5, "how often each server is measured; medians count")
	flag.StringVar(&o.only, "only", "", "the scenarios to measure, as `A,C`: A pairs, B fan-out and fan-in, C a low rate, D memory, E connects, F the gate")
	flag.StringVar(&o.servers, "servers", "greengate,mosquitto,mochi,relay", "the servers to measure")
	flag.StringVar(&o.greengate, "greengate", "", "the greengate `program` (default: it is built)")
	flag.BoolVar(&o.strict, "strict", false, "fail when a goal is missed")
	flag.DurationVar(&o.flatOut.measured, "measured", 2*time.Second, "measured time of a load flat out")
	flag.DurationVar(&o.slow.measured, "slow", 5*time.Second, "measured time of a load at a low rate")
	flag.DurationVar(&o.flatOut.warmUp, "warmup", 700*time.Millisecond, "time of a load before it is measured")
	flag.DurationVar(&o.settled, "settled", 10*time.Second, "time after the last connect until memory is read")
	flag.Parse()
	o.slow.warmUp = o.flatOut.warmUp
	return o
}

// bench is what the scenarios measure with.
type bench struct {
	options
	programs *programs
	kinds    []kind
}

func run(ctx context.Context, o options) error {
	if o.runs < 1 {
		return errors.New("-runs must be 1 or more")
	}
	if err := raiseFileLimit(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "greengate-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := newBench(ctx, o, dir, plant, few, home, town)
	if err != nil {
		return err
	}
	all := scenarios()
	if o.only != "" {
		letters := strings.Split(strings.ToUpper(o.only), ",")
		all = slices.DeleteFunc(all, func(s scenario) bool { return !slices.Contains(letters, s.letter) })
	}
	if len(all) == 0 || len(b.kinds) == 0 {
		return errors.New("nothing to measure")
	}
	r, err := b.measure(ctx, all)
	// What was measured before an error is told all the same.
	if told := describe(os.Stdout, b); told != nil {
		return errors.Join(err, told)
	}
	missed, told := r.writeTable(os.Stdout, all)
	if err = errors.Join(err, told); err == nil && missed > 0 && o.strict {
		err = fmt.Errorf("%d goals are missed", missed)
	}
	return err
}

// newBench finds the programs, builds greengate if it is not given, and makes the
// site of the groups in dir.
func newBench(ctx context.Context, o options, dir string, groups ...group) (*bench, error) {
	b := &bench{options: o, programs: &programs{greengate: o.greengate}}
	for _, name := range strings.Split(o.servers, ",") {
		if k := kind(name); slices.Contains(allKinds, k) {
			b.kinds = append(b.kinds, k)
		} else {
			return nil, fmt.Errorf("no server is called %q (known are %q)", name, allKinds)
		}
	}
	var err error
	if b.programs.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if slices.Contains(b.kinds, mosquitto) {
		if b.programs.mosquitto, err = findMosquitto(); err != nil {
			return nil, err
		}
	}
	if b.programs.greengate == "" {
		b.programs.greengate = filepath.Join(dir, "greengate")
		out, err := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", b.programs.greengate, "greengate/cmd/greengate").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("build greengate: %w\n%s", err, out)
		}
	}
	if b.programs.site, err = newSite(ctx, b.programs.greengate, dir, groups); err != nil {
		return nil, err
	}
	// The first start of a gateway makes the certificate of the server, which the
	// others use, too.
	s, err := b.programs.start(ctx, greengate, groups[0])
	if err != nil {
		return nil, err
	}
	return b, s.stop()
}

// measure runs all scenarios, and tells each run on stderr. With an error it returns
// what it has until then.
func (b *bench) measure(ctx context.Context, all []scenario) (results, error) {
	r := make(results)
	for _, s := range all {
		for n := range b.runs {
			for _, k := range b.kinds {
				if !slices.Contains(s.kinds, k) {
					continue
				}
				figures, err := s.measure(b, ctx, k)
				if err != nil {
					return r, fmt.Errorf("measure %s on %s: %w", s.name, k, err)
				}
				r.add(s.name, k, figures)
				fmt.Fprintf(os.Stderr, "%s %s, run %d, %s: %s\n", s.letter, s.name, n+1, k, figures)
			}
		}
	}
	return r, ctx.Err()
}

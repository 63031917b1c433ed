package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"greengate/configs"
)

func newRun(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "run the gateway in the foreground",
		Long: `Runs the gateway in the foreground and logs to stderr. SIGTERM and Ctrl-C end it
cleanly, a second one at once; SIGHUP reads the group file again.`,
		Args: cobra.NoArgs,
		RunE: action(func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context()) }),
	}
}

func (a *app) run(ctx context.Context) error {
	// Before anything else: a SIGHUP that nobody takes ends the process.
	hangup := make(chan os.Signal, 1) // many signals, one reload
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	c, err := a.load()
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log, flush := newLog(a.stderr, c.Log, level)
	defer flush()
	slog.SetDefault(log) // periph speaks to the standard logger
	if limit := limitMemory("/"); limit > 0 {
		log.Info("memory is limited by the service manager", "component", "gateway", "bytes", limit)
	}
	g, err := openGateway(ctx, c, log, level)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // it was to end before it had begun
	}
	if err != nil {
		return err
	}
	defer g.close()
	go func() {
		for {
			select {
			case <-hangup:
				_, _ = g.reload("SIGHUP") // it has logged its error
			case <-ctx.Done():
				return
			}
		}
	}()
	return g.Run(ctx)
}

// newLog returns a logger of the level that c names, now and whenever level is
// set, and what waits until its lines are written. Where w leads to the journal,
// log.format says nothing: the journal has its own.
func newLog(w io.Writer, c configs.Log, level *slog.LevelVar) (log *slog.Logger, flush func()) {
	setLevel(level, c)
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if c.Format == "json" {
		h = slog.NewJSONHandler(w, o)
	}
	if toJournal(w) {
		if j, err := newJournal(level, h); err == nil {
			h = j
		}
	}
	queue := newLogQueue(h)
	go queue.run() // as long as the process: there is no moment from which on nothing is logged
	return slog.New(newLogLimit(queue)), queue.flush
}

func setLevel(level *slog.LevelVar, c configs.Log) {
	var l slog.Level // info, which is also what an unknown word means
	_ = l.UnmarshalText([]byte(c.Level))
	level.Set(l)
}

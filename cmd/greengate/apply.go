package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/admin/client"
)

// applied is the answer of `apply --json`.
type applied struct {
	Plan       *client.Plan `json:"plan"`
	State      string       `json:"state"` // in-force, back, or not-running
	Generation uint64       `json:"generation,omitempty"`
	Previous   string       `json:"previous"`          // where the old file is kept; empty: the file stayed as it was
	Reasons    []string     `json:"reasons,omitempty"` // why it went back
}

const previousSuffix = ".previous"

func newApply(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply FILE [--probation 60s]",
		Short: "put a new group file in place, and go back by itself if that does harm",
		Long: `Puts FILE in the place of the group file, keeps the old one beside it with the
ending ` + previousSuffix + `, has the running daemon take it up, and watches for the time
of the probation. The old file comes back when the daemon refuses the new one or
does not answer, when there is a fault that was not there before, a listener is gone,
the link to the cloud is lost, or devices lose their connection that the file does
not cut off, and when the command is interrupted or its terminal is closed. Until the
end of the probation other commands that edit the group file wait. A FILE that is the
group file already is taken up without a probation: there is nothing to go back to.

Exit codes: 0 the file is in force, or in place when no daemon runs; 1 FILE is wrong;
2 the old file is in force again.`,
		Args: oneFile,
	}
	o := applyOptions{progress: a.stdout}
	length := cmd.Flags().String("probation", "60s", "how long to watch: a `time` such as 60s, 10m or 1d; 0 does not")
	cmd.Flags().IntVar(&o.away, "away", 0, "how many devices that were connected may stay away: a `number`")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) (err error) {
		if o.probation, err = parseDays(*length); err != nil {
			return badInput("--probation: %w", err)
		}
		if o.probation < 0 || o.away < 0 {
			return badInput("--probation and --away: a negative value has no meaning")
		}
		if *asJSON {
			o.progress = a.stderr
		}
		// A terminal that closes ends the probation as Ctrl-C does: the file may
		// have cut off the very person who applied it.
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
		defer stop()
		// Who only reads what it says, such as head(1), may go: the probation goes on.
		signal.Ignore(syscall.SIGPIPE)
		done, err := a.apply(ctx, args[0], o)
		if done != nil && *asJSON {
			err = errors.Join(a.printJSON(done), err)
		}
		if done != nil && !*asJSON && err == nil {
			a.tellApplied(done)
		}
		return err
	})
	return cmd
}

type applyOptions struct {
	probation time.Duration
	away      int
	progress  io.Writer // hears the plan, and how long there is a way back
}

// tellApplied says where the file is. That nobody listens is no failure: it is there.
func (a *app) tellApplied(d *applied) {
	what, old := fmt.Sprintf("in force, generation %d", d.Generation), "it was the group file already"
	if d.State == "not-running" {
		what = "in place; the daemon is not running and takes it up when it starts"
	}
	if d.Previous != "" {
		old = "the old file is kept as " + d.Previous
	}
	fmt.Fprintf(a.stdout, "%s is %s; %s\n", d.Plan.File, what, old)
}

// apply changes the group file. After an error it is the old one again, or was
// never changed, and so is the one that was kept before.
func (a *app) apply(ctx context.Context, file string, o applyOptions) (*applied, error) {
	release, err := a.lockConfig(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	p, text, err := a.plan(ctx, file)
	if err != nil {
		return nil, err
	}
	if err := writePlan(o.progress, p); err != nil {
		return nil, err
	}
	if why := movesData(p); why != "" {
		return nil, badInput("%s: %s", file, why)
	}
	return a.put(ctx, p, text, o)
}

// put has the text of a plan take the place of the group file, and the daemon take it up.
func (a *app) put(ctx context.Context, p *client.Plan, text []byte, o applyOptions) (*applied, error) {
	old, err := os.ReadFile(a.config)
	if err != nil {
		return nil, fmt.Errorf("read the group file: %w", err)
	}
	daemon, err := a.daemon()
	if err != nil {
		return nil, err
	}
	d := &applied{Plan: p, State: "in-force"}
	running, same := p.Against == "daemon", bytes.Equal(old, text)
	if !running {
		d.State = "not-running"
	}
	if same {
		return a.putAgain(ctx, daemon, d)
	}
	w := &probation{daemon: daemon, file: p.File, cut: p.CutOff, applyOptions: o}
	if running {
		if w.before, err = daemon.Status(ctx); err != nil {
			return nil, err
		}
	}
	way, err := keep(a.config, old)
	if err != nil {
		return nil, err
	}
	if err := configs.WriteFile(a.config, text); err != nil {
		return nil, errors.Join(err, way.leave())
	}
	if d.Previous = way.previous; !running {
		return d, nil
	}
	if d.Generation, err = w.watch(ctx); err == nil {
		return d, nil
	}
	d.State, d.Previous, d.Reasons = "back", "", []string{err.Error()}
	// Not wrapped: what the daemon says of the file would count as wrong input, and
	// the exit code is to say that the old file is in force.
	return d, errors.Join(fmt.Errorf("the new file did not prove itself: %v", err), a.goBack(ctx, daemon, way))
}

// putAgain has a running daemon take up the group file as it is: there is nothing to go back to.
func (a *app) putAgain(ctx context.Context, daemon *client.Client, d *applied) (*applied, error) {
	if d.State == "not-running" {
		return d, nil
	}
	done, err := daemon.Reload(ctx)
	if err != nil {
		return nil, err
	}
	d.Generation = done.Generation
	return d, nil
}

// goBack puts the old file back. The error says when it could not, or when the
// daemon does not know of it.
func (a *app) goBack(ctx context.Context, daemon *client.Client, way *wayBack) error {
	// The command may have been interrupted: this must be done all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := configs.WriteFile(way.config, way.old); err != nil {
		return fmt.Errorf("the old file could not be put back, and is kept as %s: %w", way.previous, err)
	}
	lost := way.leave()
	switch _, err := daemon.Reload(ctx); {
	case err == nil:
		fmt.Fprintln(a.stderr, "greengate: the old file is in force again")
	case errors.Is(err, client.ErrNotRunning):
		fmt.Fprintln(a.stderr, "greengate: the old file is in place again; the daemon is not running and takes it up when it starts")
	default:
		return errors.Join(lost, fmt.Errorf("the old file is in place again, but the daemon did not take it up: %v", err))
	}
	return lost
}

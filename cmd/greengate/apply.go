package main

import (
	"context"
	"errors"
	"fmt"
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
	Previous   string       `json:"previous"`          // where the old file is kept
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
end of the probation other commands that edit the group file wait.

Exit codes: 0 the file is in force, or in place when no daemon runs; 1 FILE is wrong;
2 the old file is in force again.`,
		Args: oneFile,
	}
	o := applyOptions{}
	cmd.Flags().DurationVar(&o.probation, "probation", time.Minute, "how long to watch; 0 does not")
	cmd.Flags().IntVar(&o.away, "away", 0, "how many devices that were connected may stay away: a `number`")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		if o.probation < 0 || o.away < 0 {
			return badInput("--probation and --away: a negative value has no meaning")
		}
		// A terminal that closes ends the probation as Ctrl-C does: the file may
		// have cut off the very person who applied it.
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
		defer stop()
		done, err := a.apply(ctx, args[0], o)
		if done != nil && *asJSON {
			err = errors.Join(a.printJSON(done), err)
		}
		if done != nil && !*asJSON && err == nil {
			err = a.tellApplied(done)
		}
		return err
	})
	return cmd
}

type applyOptions struct {
	probation time.Duration
	away      int
}

func (a *app) tellApplied(d *applied) error {
	if err := writePlan(a.stdout, d.Plan); err != nil {
		return err
	}
	what := fmt.Sprintf("in force, generation %d", d.Generation)
	if d.State == "not-running" {
		what = "in place; the daemon is not running and takes it up when it starts"
	}
	_, err := fmt.Fprintf(a.stdout, "%s is %s; the old file is kept as %s\n", d.Plan.File, what, d.Previous)
	return err
}

// apply changes the group file. After an error it is the old one again, or was
// never changed.
func (a *app) apply(ctx context.Context, file string, o applyOptions) (*applied, error) {
	release, err := lockFile(ctx, a.config)
	if err != nil {
		return nil, inputError{a.explainMissing(err)}
	}
	defer release()
	p, text, err := a.plan(ctx, file)
	if err != nil {
		return nil, err
	}
	old, err := os.ReadFile(a.config)
	if err != nil {
		return nil, fmt.Errorf("read the group file: %w", err)
	}
	d := &applied{Plan: p, State: "in-force", Previous: a.config + previousSuffix}
	daemon, err := a.daemon()
	if err != nil {
		return nil, err
	}
	w := &probation{daemon: daemon, cut: p.CutOff, applyOptions: o}
	if p.Against == "daemon" {
		if w.before, err = daemon.Status(ctx); err != nil {
			return nil, err
		}
	}
	if err := keepPrevious(a.config, d.Previous, old); err != nil {
		return nil, err
	}
	if err := configs.WriteFile(a.config, text); err != nil {
		return nil, err
	}
	if p.Against == "file" {
		d.State = "not-running"
		return d, nil
	}
	d.Generation, err = w.watch(ctx)
	if err == nil {
		return d, nil
	}
	d.State, d.Reasons = "back", []string{err.Error()}
	// Not wrapped: what the daemon says of the file would count as wrong input, and
	// the exit code is to say that the old file is in force.
	return d, errors.Join(fmt.Errorf("the new file did not prove itself: %v", err), a.goBack(ctx, daemon, old))
}

// keepPrevious writes the old file beside the group file, with its mode and
// owner.
func keepPrevious(config, previous string, old []byte) error {
	// WriteFile keeps mode and owner of what it replaces, so that must be there.
	if _, err := os.Lstat(previous); errors.Is(err, os.ErrNotExist) {
		info, err := os.Stat(config)
		if err != nil {
			return fmt.Errorf("keep the old group file: %w", err)
		}
		if err := writeNew(previous, nil, info.Mode().Perm()); err != nil {
			return fmt.Errorf("keep the old group file: %w", err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			if err := os.Lchown(previous, int(st.Uid), int(st.Gid)); err != nil {
				return fmt.Errorf("keep the old group file: %w", err)
			}
		}
	}
	if err := configs.WriteFile(previous, old); err != nil {
		return fmt.Errorf("keep the old group file: %w", err)
	}
	return nil
}

// goBack puts the old file back. The error says when it could not, or when the
// daemon does not know of it.
func (a *app) goBack(ctx context.Context, daemon *client.Client, old []byte) error {
	// The command may have been interrupted: this must be done all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := configs.WriteFile(a.config, old); err != nil {
		return fmt.Errorf("the old file could not be put back: %w", err)
	}
	switch _, err := daemon.Reload(ctx); {
	case err == nil:
		fmt.Fprintln(a.stderr, "greengate: the old file is in force again")
	case errors.Is(err, client.ErrNotRunning):
		fmt.Fprintln(a.stderr, "greengate: the old file is in place again; the daemon is not running and takes it up when it starts")
	default:
		return fmt.Errorf("the old file is in place again, but the daemon did not take it up: %v", err)
	}
	return nil
}

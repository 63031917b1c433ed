package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/admin"
	"greengate/core/admin/client"
)

func newPlan(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "show what a new group file would change, and change nothing",
		Long: `Compares FILE with what the running daemon has in force, or, when none runs, with
the group file: devices and rows that come and go, devices that would be cut off,
pins, functions, and keys that take effect at the next start only. FILE is read as if it stood
where the group file stands. ` + "`greengate apply FILE`" + ` puts it there.`,
		Args: oneFile,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		p, _, err := a.plan(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return a.printJSON(p)
		}
		return writePlan(a.stdout, p)
	})
	return cmd
}

// oneFile accepts exactly one file as the argument.
func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one file (not %d)", len(args))
	}
	return nil
}

// plan reads a new group file, and returns what it would change, and its text.
func (a *app) plan(ctx context.Context, file string) (*client.Plan, []byte, error) {
	text, next, err := a.readNext(file)
	if err != nil {
		return nil, nil, err
	}
	daemon, err := a.daemon()
	if err != nil {
		return nil, nil, err
	}
	p, err := daemon.Plan(ctx, text)
	switch {
	case errors.Is(err, client.ErrNotRunning):
		if p, err = a.planOfFiles(next); err != nil {
			return nil, nil, err
		}
		p.Against = "file"
	case err != nil:
		return nil, nil, err
	}
	p.File = file
	if err := judgeNext(p, next, text); err != nil {
		return nil, nil, err
	}
	if why := movesData(p); why != "" {
		p.Notes = append(p.Notes, why)
	}
	return p, text, nil
}

// movesData says why the running daemon would not take up the file of a plan, if it has
// another data folder.
func movesData(p *client.Plan) string {
	i := slices.IndexFunc(p.Keys, func(k client.PlanKey) bool { return k.Key == "data" })
	if i < 0 || p.Against != "daemon" {
		return ""
	}
	var from, to string
	_, _ = json.Unmarshal(p.Keys[i].From, &from), json.Unmarshal(p.Keys[i].To, &to) // texts, or nothing
	return "data " + dataStays + " (" + moveData(from, to) + ")"
}

// readNext reads a file as if it stood in the place of the group file. Its
// faults are told by its own name.
func (a *app) readNext(file string) ([]byte, *configs.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, inputError{fmt.Errorf("read the new group file: %w", err)}
	}
	c, err := configs.Parse(a.config, text)
	var faults configs.Faults
	if errors.As(err, &faults) {
		for i := range faults {
			faults[i].File = file
		}
		err = faults
	}
	if err != nil {
		return nil, nil, inputError{err}
	}
	for i := range c.Warnings {
		c.Warnings[i].File = file
	}
	return text, c, nil
}

// judgeNext looks at what the new file of a plan names on this machine, in the sections that wait
// for a start: it refuses pins with which that would fail, and notes the rest.
func judgeNext(p *client.Plan, next *configs.Config, text []byte) (err error) {
	waits := func(section string) bool { return p.Against == "file" || slices.Contains(p.Restart, section) }
	told := len(next.Warnings)
	if waits("gpio") {
		err = checkPins(next)
	}
	if waits("cloud") {
		checkSpoolKeys(next)
	}
	var faults configs.Faults
	if errors.As(err, &faults) {
		faults.Place(p.File, text)
	}
	notes := configs.Faults(next.Warnings[told:])
	notes.Place(p.File, text)
	for _, w := range notes {
		p.Notes = append(p.Notes, w.Error())
	}
	return err
}

func (a *app) planOfFiles(c *configs.Config) (*client.Plan, error) {
	old, err := a.load()
	if err != nil {
		return nil, err
	}
	now, err := newState(old)
	if err != nil {
		return nil, err
	}
	next, err := newState(c)
	if err != nil {
		return nil, err
	}
	p, err := compare(now, next)
	if err == nil && leavesCloud(old, c) {
		p.Notes = append(p.Notes, "what waits for the cloud "+staysIn(spoolFile(old)))
	}
	return p, err
}

// answerPlan says what a group file would change of what is in force.
func (g *gateway) answerPlan(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, configs.MaxSize+1))
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, fmt.Errorf("read the new group file: %w", err))
		return
	}
	c, err := configs.Parse(g.begun.File, text)
	if err != nil {
		admin.Refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	p, err := g.plan(c)
	if err != nil {
		admin.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	admin.Answer(w, http.StatusOK, p)
}

func (g *gateway) plan(c *configs.Config) (*client.Plan, error) {
	now := g.current()
	next, err := newState(c)
	if err != nil {
		return nil, err
	}
	p, err := compare(state{working(g.begun, now.config), now.table}, next)
	if err != nil {
		return nil, err
	}
	p.Against, p.Restart = "daemon", restartKeys(g.begun, c)
	if leavesCloud(g.begun, c) {
		if n := g.uplink.spool.Stats().Messages; n > 0 {
			p.Notes = append(p.Notes, waits(n)+" for the cloud: what is not sent by then "+staysIn(spoolFile(g.begun)))
		}
	}
	stays := map[string]configs.Device{}
	for _, d := range c.Devices {
		stays[d.Thing] = d
	}
	was := map[string]string{}
	for _, d := range now.config.Devices {
		was[d.Thing] = d.Certificate
	}
	for _, live := range g.broker.Devices() {
		old, is := was[live.Thing]
		if !live.Connected || !is {
			continue
		}
		d, ok := stays[live.Thing]
		switch {
		case !ok:
			p.CutOff = append(p.CutOff, client.PlanCut{Thing: live.Thing, Why: "it is no device of the new file"})
		case d.Certificate != old:
			p.CutOff = append(p.CutOff, client.PlanCut{Thing: live.Thing, Why: "its certificate changes"})
		}
	}
	return p, nil
}

// writePlan is the view for a person.
func writePlan(out io.Writer, p *client.Plan) error {
	against := "what the running daemon has in force"
	if p.Against == "file" {
		against = "the group file (the daemon is not running)"
	}
	fmt.Fprintf(out, "%s compared with %s\n", p.File, against)
	if p.Empty() {
		fmt.Fprintln(out, "\nnothing changes")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	writeNames(w, "device", p.Devices)
	for _, r := range p.Rows.Removed {
		fmt.Fprintf(w, "- row\t%s\t(line %d now)\n", r.Text, r.Line)
	}
	for _, r := range p.Rows.Added {
		fmt.Fprintf(w, "+ row\t%s\t(line %d)\n", r.Text, r.Line)
	}
	writeNames(w, "pin", p.Pins)
	writeNames(w, "function", client.PlanNames{Removed: p.Functions.Removed, Added: p.Functions.Added})
	for _, f := range p.Functions.Changed {
		fmt.Fprintf(w, "~ function\t%s: %s\n", f.Name, changes(f.Keys))
	}
	for _, k := range p.Keys {
		fmt.Fprintf(w, "~ %s\t%s\n", k.Key, change(k))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, c := range p.CutOff {
		fmt.Fprintf(out, "! %s is connected and would be cut off: %s\n", c.Thing, c.Why)
	}
	if len(p.Restart) > 0 {
		fmt.Fprintf(out, "! at the next start only: %s\n", strings.Join(p.Restart, ", "))
	}
	for _, note := range p.Notes {
		fmt.Fprintf(out, "! %s\n", note)
	}
	_, err := fmt.Fprintf(out, "\nrows: %d kept, %d added, %d removed\n", p.Rows.Kept, len(p.Rows.Added), len(p.Rows.Removed))
	return err
}

func writeNames(w io.Writer, what string, n client.PlanNames) {
	for _, list := range []struct {
		mark  string
		names []string
	}{{"-", n.Removed}, {"+", n.Added}, {"~", n.Changed}} {
		for _, name := range list.names {
			fmt.Fprintf(w, "%s %s\t%s\n", list.mark, what, name)
		}
	}
}

// changes says on one line how the keys of an entry change.
func changes(keys []client.PlanKey) string {
	words := make([]string, len(keys))
	for i, k := range keys {
		words[i] = k.Key + " " + change(k)
	}
	return strings.Join(words, ", ")
}

// change says how the value of a key changes.
func change(k client.PlanKey) string {
	switch {
	case k.From == nil:
		return "now " + string(k.To)
	case k.To == nil:
		return "no longer " + string(k.From)
	case string(k.From) == string(k.To):
		return "changes" // and is not shown
	}
	return string(k.From) + " becomes " + string(k.To)
}

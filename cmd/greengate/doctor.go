package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/admin/client"
)

// The words of a finding.
const (
	well  = "well"
	note  = "note"  // worth knowing, nobody must act
	wrong = "wrong" // somebody must
)

// finding is one thing that the doctor looked at.
type finding struct {
	Subject string `json:"subject"`
	State   string `json:"state"` // well, note or wrong
	Message string `json:"message"`
	Next    string `json:"next_step,omitempty"` // what a person does about it
}

// diagnosis is the answer of `doctor --json`.
type diagnosis struct {
	Well     bool      `json:"well"`
	Daemon   bool      `json:"daemon"` // it runs
	Findings []finding `json:"findings"`
}

func newDoctor(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "look for what is wrong with this machine and this site, and say what to do",
		Long: `Looks at the group file, the daemon, the clock, the disk and the wear of the card,
the ports, rights and groups, certificates and their ends, the cloud, the databases,
and what closes functions in. It changes nothing, and needs no running daemon. Run it as the user of the
daemon or as root: others may not see all.

Exit codes: 0 all is well, 1 something is wrong.`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		d := a.examine(cmd.Context())
		err := writeDiagnosis(a.stdout, d)
		if *asJSON {
			err = a.printJSON(d)
		}
		if err == nil && !d.Well {
			err = badInput("something is wrong")
		}
		return err
	})
	return cmd
}

// doctor is one examination. A check that finds the group file unusable is left
// out.
type doctor struct {
	ctx    context.Context
	root   string // of the file system: "/", or that of a test
	config *configs.Config
	daemon *client.Client
	status *client.Status   // nil: no daemon runs
	pair   *tls.Certificate // of the core, for the cloud; nil: none, or not to be read
	diagnosis
}

// examine looks at everything.
func (a *app) examine(ctx context.Context) *diagnosis {
	d := &doctor{ctx: ctx, root: "/"}
	d.Well, d.Findings = true, []finding{}
	d.checkFile(a)
	d.checkDaemon(a)
	for _, check := range []func(){
		d.checkClock, d.checkDisk, d.checkCard, d.checkRights, d.checkPorts, d.checkPins,
		d.checkCertificates, d.checkCloud, d.checkStores, d.checkFunctions,
	} {
		if d.config != nil && ctx.Err() == nil {
			check()
		}
	}
	return &d.diagnosis
}

func (d *doctor) well(subject, format string, args ...any) {
	d.Findings = append(d.Findings, finding{subject, well, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) note(subject, next, format string, args ...any) {
	d.Findings = append(d.Findings, finding{subject, note, fmt.Sprintf(format, args...), next})
}

func (d *doctor) wrong(subject, next, format string, args ...any) {
	d.Well = false
	d.Findings = append(d.Findings, finding{subject, wrong, fmt.Sprintf(format, args...), next})
}

func (d *doctor) checkFile(a *app) {
	c, err := a.load()
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.wrong("group file", "mend it: `greengate check` tells when it is right", "%s", line)
		}
		return
	}
	d.config = c
	for _, w := range c.Warnings {
		d.note("group file", "", "%s", w.Error())
	}
	d.well("group file", "%s: %s, %s", a.config, counted(int64(len(c.Devices)), "device"), counted(int64(len(c.Subscriptions)), "row"))
}

// checkDaemon takes over what a running daemon says is wrong.
func (d *doctor) checkDaemon(a *app) {
	daemon, err := a.daemon()
	if err != nil {
		return // the group file cannot be read, which is told
	}
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	s, err := daemon.Status(ctx)
	switch {
	case errors.Is(err, client.ErrNotRunning):
		d.note("daemon", "start it: systemctl start greengate, or greengate run", "it is not running")
		return
	case err != nil:
		d.wrong("daemon", "journalctl -u greengate tells more; systemctl restart greengate", "it does not answer: %v", err)
		return
	}
	d.daemon, d.status, d.Daemon = daemon, s, true
	connected := 0
	for _, dev := range s.Devices {
		if dev.Connected {
			connected++
		}
	}
	d.well("daemon", "version %s, up %s, %d of %s connected", s.Version, time.Duration(s.UptimeSeconds)*time.Second,
		connected, counted(int64(len(s.Devices)), "device"))
	if s.Version != version() {
		d.note("daemon", "restart it: systemctl restart greengate", "it is version %s, this program is %s", s.Version, version())
	}
	for _, f := range s.Faults {
		d.wrong("daemon", f.NextStep, "%s: %s", f.Component, f.Message)
	}
}

// writeDiagnosis is the view for a person.
func writeDiagnosis(out io.Writer, d *diagnosis) error {
	mark := map[string]string{well: "ok   ", note: "note ", wrong: "WRONG"}
	for _, f := range d.Findings {
		fmt.Fprintf(out, "%s  %s: %s\n", mark[f.State], f.Subject, strings.ReplaceAll(f.Message, "\n", "\n         "))
		if f.Next != "" {
			fmt.Fprintf(out, "         next: %s\n", f.Next)
		}
	}
	bad := 0
	for _, f := range d.Findings {
		if f.State == wrong {
			bad++
		}
	}
	if bad == 0 {
		_, err := fmt.Fprintln(out, "\nall is well")
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s wrong\n", counted(int64(bad), "thing"))
	return err
}

package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

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
and what closes functions in. It changes nothing, and needs no running daemon. Run it as root,
who sees all, or as a member of the group of the data folder.

Exit codes: 0 all is well, 1 something is wrong.`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		d := a.examine(cmd.Context())
		tell := func() error { return writeDiagnosis(a.stdout, d) }
		if *asJSON {
			tell = func() error { return a.printJSON(d) }
		}
		err := tell()
		if err == nil && !d.Well {
			err = badInput("%s wrong", counted(int64(d.count(wrong)), "thing"))
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
	if !d.mayUse(a.config, unix.R_OK) {
		return &d.diagnosis
	}
	d.checkFile(a)
	if c := d.config; c != nil && !(d.mayUse(c.Data+"/.", unix.R_OK|unix.X_OK) && d.mayUse(c.Socket(), unix.W_OK)) {
		return &d.diagnosis
	}
	d.checkDaemon(a)
	for _, check := range []func(){
		d.checkClock, d.checkDisk, d.checkCard, d.checkRights, d.checkPorts, d.checkPins,
		d.checkCertificates, d.checkCloud, d.checkSpoolKeys, d.checkStores, d.checkFunctions,
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

// wrong tells what is wrong, unless the daemon has told it already.
func (d *doctor) wrong(subject, next, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if slices.ContainsFunc(d.Findings, func(f finding) bool { return f.State == wrong && strings.HasSuffix(f.Message, ": "+text) }) {
		return
	}
	d.Well = false
	d.Findings = append(d.Findings, finding{subject, wrong, text, next})
}

// count is how many findings are of a state.
func (d *diagnosis) count(state string) (n int) {
	for _, f := range d.Findings {
		if f.State == state {
			n++
		}
	}
	return n
}

// mayUse tells whether this user may look at a file of the site. To somebody who may not, a
// site that is well would look broken in many places: that is said once.
func (d *doctor) mayUse(path string, how uint32) bool {
	if !errors.Is(unix.Access(path, how), unix.EACCES) {
		return true
	}
	d.wrong("rights", "run it as root"+orMember(path), "%s is not for this user to use", filepath.Clean(path))
	return false
}

// orMember names the group whose members may use a file, if there is one.
func orMember(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(existing(path), &st); err != nil || st.Mode&0o040 == 0 {
		return ""
	}
	return ", or as a member of the group " + groupName(st.Gid)
}

func (d *doctor) checkFile(a *app) {
	next := "mend it: `greengate check` tells when it is right"
	c, err := a.load()
	if err != nil {
		if _, gone := os.Stat(a.config); errors.Is(gone, fs.ErrNotExist) {
			next = "`greengate init` makes a site, and `greengate restore` brings one back from a backup"
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.wrong("group file", next, "%s", line)
		}
		return
	}
	d.config = c
	for _, w := range c.Warnings {
		d.note("group file", "", "%s", w.Error())
	}
	file := *c // the warnings of this are told with the pins
	if err := checkPins(&file); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			d.wrong("group file", next, "%s", line)
		}
		return
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
		next := strings.Replace(f.NextStep, "`greengate doctor` looks", "look below", 1)
		d.wrong("daemon", cmp.Or(next, "journalctl -u greengate tells more"), "%s: %s", f.Component, f.Message)
	}
}

// writeDiagnosis is the view for a person.
func writeDiagnosis(out io.Writer, d *diagnosis) error {
	mark := map[string]string{well: "ok   ", note: "note ", wrong: "WRONG"}
	for _, f := range d.Findings {
		fmt.Fprintf(out, "%s  %s: %s\n", mark[f.State], f.Subject, printableLines(f.Message, "         "))
		if f.Next != "" {
			fmt.Fprintf(out, "         next: %s\n", f.Next)
		}
	}
	if d.count(wrong) > 0 {
		return nil // the error tells how many
	}
	_, err := fmt.Fprintln(out, "\nall is well")
	return err
}

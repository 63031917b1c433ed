package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greengate/configs"
)

func newBundle(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bundle FILE.tar.gz",
		Short: "gather what a bug report needs, without secrets",
		Long: `Writes to FILE, which must not exist: the group file, the status, what ` + "`doctor`" + ` says,
the last lines of the journal, what the daemon's goroutines do, the names and sizes of
the files of the site, and what machine it is. Private keys, certificates, the
environment of functions, and whatever looks like a secret are removed; messages,
shadows and keys are not in it. Names of things, topics, addresses and the endpoint of
the cloud are: look before you send it.`,
		Args: oneFile,
	}
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error { return a.bundle(cmd.Context(), args[0]) })
	return cmd
}

// journalLines is how much of the journal a bundle has.
const journalLines = "5000"

// bundle is a report in the making. What cannot be had is told in its place: just
// when something is broken a report must not fail.
type bundle struct {
	scrub *scrubber
	names []string
	texts map[string]string
}

func (b *bundle) add(name, text string, err error) {
	if err != nil {
		text += "cannot be had: " + err.Error() + "\n"
	}
	b.names = append(b.names, name)
	b.texts[name] = b.scrub.clean(text)
}

func (a *app) bundle(ctx context.Context, file string) error {
	c, _ := a.load() // its faults stand in what doctor says
	text, words, err := groupText(a.config)
	b := &bundle{scrub: newScrubber(c, words), texts: map[string]string{}}
	b.add("version.txt", fmt.Sprintf("greengate %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH), nil)
	b.add("group.yaml", text, err)
	d := a.examine(ctx)
	b.addJSON("doctor.json", d, nil)
	if daemon, err := a.daemon(); err == nil && d.Daemon {
		status, err := daemon.Status(ctx)
		b.addJSON("status.json", status, err)
		stacks, err := daemon.Goroutines(ctx)
		b.add("goroutines.txt", stacks, err)
	}
	journal, err := exec.CommandContext(ctx, "journalctl", "-u", "greengate", "-n", journalLines, "-o", "short-iso", "--no-pager").CombinedOutput()
	b.add("journal.txt", string(journal), err)
	b.add("machine.txt", machine(), nil)
	if c != nil {
		b.add("files.txt", listing(c), nil)
	}
	if err := b.write(file); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s\nsecrets are removed; names of things, topics and addresses are in it\n", file, strings.Join(b.names, ", "))
	return err
}

// groupText is the text of the group file without its secrets, and the secrets.
func groupText(file string) (text string, secrets []string, err error) {
	whole, err := os.ReadFile(file)
	if err != nil {
		return "", nil, err
	}
	text, secrets, err = cutSecrets(string(whole))
	if err != nil {
		err = fmt.Errorf("the file is left out, since what is secret in it cannot be told from the rest: %w", err)
	}
	return text, secrets, err
}

func (b *bundle) addJSON(name string, v any, err error) {
	text, bad := json.MarshalIndent(v, "", "  ")
	b.add(name, string(text)+"\n", errors.Join(err, bad))
}

// machine says what this computer is.
func machine() string {
	var out strings.Builder
	for _, file := range []string{
		"/proc/device-tree/model", "/etc/os-release", "/proc/version", "/proc/meminfo", "/proc/loadavg",
		"/proc/mounts", "/proc/pressure/io", "/proc/pressure/memory",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // not every machine has every one
		}
		fmt.Fprintf(&out, "== %s\n%s\n", file, strings.TrimRight(string(text), "\x00\n"))
	}
	return out.String()
}

// listing names the files of the site, without what is in them.
func listing(c *configs.Config) string {
	var out strings.Builder
	for _, dir := range []string{filepath.Dir(c.File), c.Data, c.PKI.Dir} {
		fmt.Fprintf(&out, "== %s\n", dir)
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				fmt.Fprintf(&out, "%v\n", err)
				return nil
			}
			if info, err := e.Info(); err == nil {
				fmt.Fprintf(&out, "%s %-22s %10d %s %s\n", info.Mode(), ownerOf(info), info.Size(), info.ModTime().UTC().Format(time.RFC3339), path)
			}
			return nil
		})
	}
	return out.String()
}

// write writes a new file.
func (b *bundle) write(file string) error {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	t := tar.NewWriter(z)
	for _, name := range b.names {
		text := b.texts[name]
		h := &tar.Header{Name: "greengate-bundle/" + name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Now(), Format: tar.FormatPAX}
		if err := t.WriteHeader(h); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
		if _, err := t.Write([]byte(text)); err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	err := writeNew(file, packed.Bytes(), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return badInput("%s exists already (name a new file)", file)
	}
	if err != nil {
		return inputError{err}
	}
	return nil
}

// answerGoroutines says what every goroutine does: where the gateway hangs, if it does.
func (g *gateway) answerGoroutines(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = pprof.Lookup("goroutine").WriteTo(w, 1) // a caller who has gone needs no answer
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/configs/greengrassv1"
	"greengate/core/pki"
)

func newImport(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import",
		Short: "make a site of what is left of another gateway",
		Args:  cobra.NoArgs,
		RunE:  help,
	}
	cmd.AddCommand(newImportV1(a), newImportV2(a))
	return cmd
}

// importing is one import, by its flags.
type importing struct {
	a          *app
	out        string
	group      string
	core       string
	key        string
	set        []string
	fold       bool
	json       bool
	owner      *service // whose site it is; nil: that of whoever imports
	importFile func(files []greengrassv1.File, o greengrassv1.Options) (*greengrassv1.Result, error)
}

func newImportV1(a *app) *cobra.Command {
	i := &importing{a: a, importFile: greengrassv1.Import}
	cmd := &cobra.Command{
		Use:   "greengrass-v1 FILE... --out DIR",
		Short: "make a site of a Greengrass V1 group",
		Long: `Makes the site DIR of what you still have of a Greengrass V1 group, in any mixture: the
answers of aws greengrass get-group-version and get-*-definition-version (each in a
file, in pages, or one after the other), CloudFormation templates, the core's
config.json with its certificate and key, a folder or a zip with all of it. What a file
is, is seen from its content.

DIR gets group.yaml, which ` + "`greengate check`" + ` accepts, pki, data, the core's certificate
for the cloud, and README.md: what was taken over, what was translated and how, what has
no counterpart, and what to change on the devices. It writes over nothing.

With --out /etc/greengate, as root, it makes the site of the service that the Debian
package brings, as ` + "`greengate init`" + ` does.

The devices keep the certificates that AWS issued: the group file pins them by their
fingerprints. See docs/migrate.md.`,
	}
	i.flags(cmd)
	cmd.Flags().StringArrayVar(&i.set, "set", nil, "`Name=value` of a parameter of a template, or of what its stack has made; may be repeated")
	return cmd
}

// flags adds the flags and the work to cmd.
func (i *importing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&i.out, "out", "", "the `folder` of the new site")
	f.StringVar(&i.group, "group", "", "the `id` of the group, where the inputs name none, or several")
	f.StringVar(&i.core, "core", "", "the `thing` name of the gateway, where the inputs name none")
	f.StringVar(&i.key, "key", string(pki.RSA2048), "the `kind` of the group's keys: rsa-2048 or p-256")
	f.BoolVar(&i.fold, "fold", false, "write rows that say one thing many times as one, with labels and ${from}, ${to}, where that is provably the same table")
	f.BoolVar(&i.json, "json", false, "print the report as one JSON document")
	_ = cmd.MarkFlagRequired("out") // the flag is there
	cmd.Args = cobra.MinimumNArgs(1)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error { return i.run(cmd.Context(), args) })
}

func (i *importing) run(ctx context.Context, args []string) error {
	if i.out == "" {
		return badInput("--out: the name of the folder is empty")
	}
	values := map[string]string{}
	for _, s := range i.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return badInput("--set: %q is not Name=value", s)
		}
		values[name] = value
	}
	// What is in the way is told before a person is asked for anything.
	if err := unused(i.out); err != nil {
		return inputError{err}
	}
	if filepath.Clean(i.out) == filepath.Dir(defaultConfig) {
		owner, err := findService()
		if err == nil {
			err = owner.free()
		}
		if err != nil {
			return badInput("--out %s: %w", i.out, err)
		}
		i.owner = owner
	}
	files, err := greengrassv1.Collect(args)
	if err != nil {
		return inputError{err}
	}
	o := greengrassv1.Options{Group: i.group, Core: i.core, Values: values, Fold: i.fold, Read: readSmall, Name: filepath.Join(i.out, groupFile)}
	if i.owner != nil {
		o.Data = i.owner.data
	}
	if terminal, ok := i.a.stdin.(*os.File); ok && isTerminal(terminal) {
		o.Ask = func(name, description string, secret bool) (string, error) {
			return i.a.askValue(ctx, name, description, secret)
		}
	}
	r, err := i.importFile(files, o)
	if err != nil {
		return inputError{asImport(err)}
	}
	s, err := i.site(r)
	if err != nil {
		return inputError{err}
	}
	if err := s.create(); err != nil {
		return err
	}
	return i.tell(r)
}

// unused tells that nothing of a site is in the folder yet.
func unused(dir string) error {
	names := (&newSite{}).names()
	for _, name := range append(names, importReadme, functionsDir) {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already, and import writes over nothing (choose another folder)", path)
		}
	}
	return nil
}

// asImport names the flags that mend what the file to be made lacks.
func asImport(err error) error {
	var faults configs.Faults
	if !errors.As(err, &faults) {
		return err
	}
	for i := range faults {
		if f := &faults[i]; f.Path == "group" || f.Path == "core" {
			f.File, f.Line, f.Column, f.Path = "", 0, 0, "--"+f.Path
		}
	}
	return faults
}

// readSmall reads a certificate or key that config.json names. Other things are none.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > 1<<20 {
		return nil, fmt.Errorf("%s is no certificate", path)
	}
	return os.ReadFile(path)
}

// askValue asks for a value of a template at the terminal.
func (a *app) askValue(ctx context.Context, name, description string, secret bool) (string, error) {
	terminal := a.stdin.(*os.File) // Ask is set for a terminal only
	prompt := fmt.Sprintf("%s (%s): ", name, description)
	if secret {
		return ask(ctx, terminal, a.stderr, prompt)
	}
	fmt.Fprint(a.stderr, prompt)
	line, err := typed(ctx, terminal)
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", badInput("%s was not given: %w", name, err)
	}
	return line, nil
}

// readLine reads a line without reading ahead: the next question reads on.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n == 1 && one[0] == '\n' {
			return strings.TrimSuffix(string(line), "\r"), nil
		}
		line = append(line, one[:n]...)
		if err != nil {
			return string(line), err
		}
	}
}

// The names that an import adds to those of a site.
const (
	importReadme = "README.md"
	functionsDir = "functions"
)

// site is the one to be made.
func (i *importing) site(r *greengrassv1.Result) (*newSite, error) {
	s := &newSite{dir: filepath.Clean(i.out), group: r.Group, core: r.Core, key: pki.Algorithm(i.key), file: r.File, owner: i.owner}
	if s.key != pki.RSA2048 && s.key != pki.P256 {
		return nil, fmt.Errorf("--key: %q is no kind of key (write %s or %s)", i.key, pki.RSA2048, pki.P256)
	}
	s.more = []string{importReadme, functionsDir}
	s.fill = func() error {
		for _, c := range r.Copies {
			mode := fs.FileMode(0o644)
			if c.Secret {
				mode = 0o600
			}
			if err := writeNew(filepath.Join(s.dir, filepath.FromSlash(c.Name)), c.Data, mode); err != nil {
				return err
			}
		}
		for _, dir := range r.Folders {
			if err := os.MkdirAll(filepath.Join(s.dir, filepath.FromSlash(dir)), 0o755); err != nil {
				return err
			}
		}
		return writeNew(filepath.Join(s.dir, importReadme), []byte(r.Readme(filepath.Join(i.out, groupFile))), 0o644)
	}
	return s, nil
}

func (i *importing) tell(r *greengrassv1.Result) error {
	if i.json {
		return i.a.printJSON(r.Report)
	}
	if err := r.Report.Text(i.a.stdout); err != nil {
		return err
	}
	file := filepath.Join(i.out, groupFile)
	next := fmt.Sprintf("greengate check --config %s\n  greengate run --config %s", file, file)
	if i.owner != nil {
		next = "greengate check\n  systemctl start " + serviceUnit
	}
	_, err := fmt.Fprintf(i.a.stdout, `
made the site %s: group %s, core %s; this report and what to change on the devices: %s

next:
  %s
`, filepath.Clean(i.out), r.Group, r.Core, filepath.Join(i.out, importReadme), next)
	return err
}

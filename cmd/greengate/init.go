package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/message"
	"greengate/core/pki"
)

func newInit(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "make a new site: group file, certificate authority, data folder",
		Long: `Makes DIR/group.yaml (commented), its JSON Schema for editors, DIR/pki with the
certificate authority of the group, and DIR/data. It writes over nothing.

Without DIR it makes the site of the service that the Debian package brings, in
/etc/greengate and /var/lib/greengate, and starts the service.`,
		Args: cobra.MaximumNArgs(1),
	}
	group := cmd.Flags().String("group", "", "the `id` of the group (default: the name of DIR; home for the service)")
	core := cmd.Flags().String("core", "", "the `thing` name of this gateway (default: HOSTNAME_Core)")
	key := cmd.Flags().String("key", string(pki.RSA2048), "the `kind` of all keys: rsa-2048 or p-256")
	cmd.RunE = action(func(_ *cobra.Command, args []string) (err error) {
		dir, owner := filepath.Dir(defaultConfig), (*service)(nil)
		if len(args) > 0 {
			if dir = args[0]; dir == "" {
				return badInput("the name of the folder is empty")
			}
		} else if owner, err = findService(); err != nil {
			return err
		}
		s, err := planSite(dir, *group, *core, *key, owner)
		if err != nil {
			return inputError{err}
		}
		if err := s.create(); err != nil {
			return err
		}
		if owner == nil {
			s.tell(a)
			return nil
		}
		started, err := owner.start()
		if err == nil {
			s.tellService(a, started)
		}
		return err
	})
	return cmd
}

// newSite is a site to be made.
type newSite struct {
	dir, group, core string
	key              pki.Algorithm
	file             []byte   // the group file
	owner            *service // whose site it is; nil: that of whoever makes it

	more []string     // names that fill makes in the folder
	fill func() error // makes what else the site has; nil: nothing
}

// The names in the folder of a site.
const (
	groupFile = "group.yaml"
	pkiDir    = "pki"
	dataDir   = "data"
)

// planSite fills in what was not given and looks that all is right and free.
func planSite(dir, group, core, key string, owner *service) (*newSite, error) {
	dir = filepath.Clean(dir)
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", dir, err)
	}
	options := configs.SampleOptions{}
	if owner != nil {
		group, options.Data = cmp.Or(group, "home"), owner.data // "greengate" would say nothing
	}
	group = cmp.Or(group, thingName(filepath.Base(abs)), "home")
	if core == "" {
		host, _ := os.Hostname() // without one the group gives the name
		core = cmp.Or(thingName(host), group) + "_Core"
	}
	options.Group, options.Core = group, core
	file, err := configs.Sample(options)
	if err != nil {
		return nil, asFlags(err)
	}
	s := &newSite{dir: dir, group: group, core: core, key: pki.Algorithm(key), file: file, owner: owner}
	if s.key != pki.RSA2048 && s.key != pki.P256 {
		return nil, fmt.Errorf("--key: %q is no kind of key (write %s or %s)", key, pki.RSA2048, pki.P256)
	}
	for _, name := range s.names() {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s is there already, and init writes over nothing (choose another folder)", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("make a site in %s: %w", dir, asFolder(err))
		}
	}
	if owner != nil {
		return s, owner.free()
	}
	return s, nil
}

// names are those of what create makes in the folder.
func (s *newSite) names() []string {
	names := []string{groupFile, configs.SchemaFile, pkiDir}
	if s.owner == nil {
		names = append(names, dataDir)
	}
	return append(names, s.more...)
}

// asFlags says of the faults of a file that is yet to be made which flags they
// come from.
func asFlags(err error) error {
	var faults configs.Faults
	if !errors.As(err, &faults) {
		return err
	}
	for i := range faults {
		f := &faults[i]
		f.Line, f.Column, f.Path = 0, 0, "--"+f.Path
	}
	return faults
}

// thingName makes a legal name of s, without its domain; empty when nothing is
// left.
func thingName(s string) string {
	s, _, _ = strings.Cut(s, ".")
	s = strings.Map(func(r rune) rune {
		if message.CheckThing(string(r)) == nil && r != ':' {
			return r
		}
		return '_'
	}, s)
	s = strings.Trim(s, "_-")
	return s[:min(len(s), message.MaxThing-len("_Core"))]
}

// create makes the site, or leaves nothing behind.
func (s *newSite) create() (err error) {
	made, err := makeDirs(s.dir)
	defer func() {
		if err != nil {
			s.undo(made)
		}
	}()
	if err != nil {
		return fmt.Errorf("make the site: %w", err)
	}
	if _, err := pki.Create(filepath.Join(s.dir, pkiDir), pki.CreateOptions{Group: s.group, Algorithm: s.key}); err != nil {
		return err
	}
	data, mode := filepath.Join(s.dir, dataDir), fs.FileMode(0o644)
	if s.owner != nil {
		data, mode = s.owner.data, 0o640
	}
	if err := os.MkdirAll(data, 0o750); err != nil {
		return fmt.Errorf("make the site: %w", err)
	}
	if err := writeNew(filepath.Join(s.dir, configs.SchemaFile), configs.Schema(), 0o644); err != nil {
		return fmt.Errorf("make the site: %w", err)
	}
	if s.fill != nil {
		if err := s.fill(); err != nil {
			return fmt.Errorf("make the site: %w", err)
		}
	}
	// The group file comes last: where it stands, the site is whole.
	if err := writeNew(filepath.Join(s.dir, groupFile), s.file, mode); err != nil {
		return fmt.Errorf("make the site: %w", err)
	}
	if s.owner != nil {
		return s.owner.own(s)
	}
	return nil
}

// undo removes what create has made. The names are its own: planSite saw that
// they were free.
func (s *newSite) undo(made []string) {
	for _, name := range s.names() {
		_ = os.RemoveAll(filepath.Join(s.dir, name))
	}
	removeDirs(made)
}

func (s *newSite) tell(a *app) {
	file := filepath.Join(s.dir, groupFile)
	fmt.Fprintf(a.stdout, `made the site %s: group %s, core %s

next:
  greengate device add MyThing --config %s --out %s
  greengate run --config %s
  and write who may talk to whom under subscriptions in %s
`, s.dir, s.group, s.core, file, filepath.Join(s.dir, "devices"), file, file)
}

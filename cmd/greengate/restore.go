package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"greengate/core/audit"
	"greengate/core/sqlite"
)

func newRestore(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE [--to DIR]",
		Short: "bring a site back from a backup, on this machine or a new card",
		Long: `Puts all that a backup holds where it was, or into the folder DIR, whose group file
then leads to it. It writes over nothing: a group file, keys or databases that are
there already are an error. FILE is read to its end before anything is written, so that
a damaged one, or a wrong passphrase, changes nothing.

What has happened since the backup is not in it. Shadows get later versions than any
that a device may have seen; the cloud gets again what it had acknowledged since. The
gateway of the backup must not run any more: two with the same identity drive each
other out of the cloud.`,
		Args: oneFile,
	}
	phraseFile := passphraseFlag(cmd)
	to := cmd.Flags().String("to", "", "the `folder` for the site, instead of where it was")
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		return a.restore(cmd.Context(), args[0], *to, *phraseFile)
	})
	return cmd
}

func (a *app) restore(ctx context.Context, file, to, phraseFile string) error {
	phrase, err := a.passphrase(ctx, phraseFile, false)
	if err != nil {
		return err
	}
	// The first reading proves that the file is whole: each part is authenticated,
	// and so is its end.
	m, err := readBackup(file, phrase, nil)
	if err != nil {
		return err
	}
	r, err := planRestore(m, to)
	if err != nil {
		return err
	}
	if _, err = readBackup(file, phrase, r.take); err == nil {
		err = r.finish(ctx, m)
	}
	if err != nil {
		r.undo()
		return fmt.Errorf("restore the site: %w", err)
	}
	fmt.Fprintf(a.stdout, "restored the site of %s: group %s, core %s\n", m.Created.Local().Format("2006-01-02 15:04:05"), m.Group, m.Core)
	for _, p := range r.places {
		fmt.Fprintf(a.stdout, "  %s\n", p.Path)
	}
	_, err = fmt.Fprintf(a.stdout, "\nnext:\n  greengate doctor --config %s\n  systemctl start greengate, or greengate run --config %s\n", r.config(), r.config())
	return err
}

// readBackup reads a backup to its end, and gives each file and folder to take, if
// that is not nil.
func readBackup(file, phrase string, take func(h *tar.Header, content io.Reader) error) (*manifest, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, inputError{err}
	}
	defer f.Close()
	identity, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return nil, inputError{err}
	}
	secret, err := age.Decrypt(f, identity)
	if err != nil {
		if wrong := new(age.NoIdentityMatchError); errors.As(err, &wrong) {
			return nil, badInput("%s: the passphrase is wrong", file)
		}
		return nil, badInput("%s is no backup: %w", file, err)
	}
	var placed error // of take: then the backup is not to blame
	m, err := readArchive(secret, func(h *tar.Header, content io.Reader) error {
		if take != nil {
			placed = take(h, content)
		}
		return placed
	})
	switch {
	case placed != nil:
		return nil, placed
	case errors.As(err, new(inputError)):
		return nil, fmt.Errorf("read the backup %s: %w", file, err)
	case err != nil:
		return nil, fmt.Errorf("read the backup %s: %w (it is cut off or damaged: copy it here again, or take another)", file, err)
	}
	return m, nil
}

func readArchive(secret io.Reader, take func(*tar.Header, io.Reader) error) (*manifest, error) {
	packed, err := gzip.NewReader(secret)
	if err != nil {
		return nil, err
	}
	t := tar.NewReader(packed)
	h, err := t.Next()
	if err != nil {
		return nil, err
	}
	if h.Name != manifestName {
		return nil, errors.New("it does not begin with its manifest")
	}
	m := new(manifest)
	if err := json.NewDecoder(t).Decode(m); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if m.Format > backupFormat {
		return nil, badInput("greengate %s wrote it in a later form (install that version or a later one)", m.Version)
	}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = take(h, t)
		}
		if err != nil {
			return nil, err
		}
	}
	// The archive ends before the stream does: what follows must be sound too.
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, secret)
	return m, err
}

// restoring is a site on its way back.
type restoring struct {
	places  []place // with the paths where they go
	was     []place // with those where they were
	to      string
	created []string // files and folders that were not there, in the order of their making
	stores  []string // databases
}

// planRestore finds where everything goes, and that nothing is there yet.
func planRestore(m *manifest, to string) (*restoring, error) {
	r := &restoring{was: m.Places}
	if to != "" {
		abs, err := filepath.Abs(to)
		if err != nil {
			return nil, inputError{err}
		}
		r.to = abs
	}
	if len(m.Places) == 0 || m.Places[0].Name != configPlace {
		return nil, badInput("the backup has no group file")
	}
	home := filepath.Dir(m.Places[0].Path)
	for _, p := range m.Places {
		if !filepath.IsAbs(p.Path) {
			return nil, badInput("the backup leads to %s, which is no absolute path", p.Path)
		}
		if r.to != "" {
			// What lay in the folder of the group file lies there again.
			rel, err := filepath.Rel(home, p.Path)
			if err != nil || !filepath.IsLocal(rel) {
				rel = filepath.FromSlash(p.Name)
			}
			p.Path = filepath.Join(r.to, rel)
		}
		if err := free(p); err != nil {
			return nil, err
		}
		r.places = append(r.places, p)
	}
	return r, nil
}

// free reports what is in the way of a place.
func free(p place) error {
	if p.Name == dataPlace {
		if inUse(p.Path) {
			return badInput("a gateway is running on %s (stop it first: systemctl stop greengate)", p.Path)
		}
		// The folder itself, and the lock in it, are the package's to make.
		for _, pattern := range append([]string{"*.db", "*.db.copy", "*.db.damaged-*", auditFile + "*"}, others...) {
			if found, _ := filepath.Glob(filepath.Join(p.Path, pattern)); len(found) > 0 {
				return badInput("%s is there already, and restore writes over nothing (move it away first)", found[0])
			}
		}
		return nil
	}
	entries, err := os.ReadDir(p.Path)
	if err == nil && len(entries) == 0 {
		return nil // an empty folder
	}
	switch _, err := os.Lstat(p.Path); {
	case err == nil:
		return badInput("%s is there already, and restore writes over nothing (move it away first)", p.Path)
	case !errors.Is(err, fs.ErrNotExist):
		return badInput("restore to %s: %w", filepath.Dir(p.Path), asFolder(err))
	}
	return nil
}

func (r *restoring) config() string { return r.places[0].Path }

// take puts one entry of the archive where it belongs.
func (r *restoring) take(h *tar.Header, content io.Reader) error {
	p, rel, err := r.placeOf(h.Name)
	if err != nil {
		return err
	}
	target := filepath.Join(p.Path, rel)
	if p.Dir {
		if err := r.folder(p.Path, os.FileMode(p.Mode), p.Owner); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeDir {
		return r.folder(target, h.FileInfo().Mode().Perm(), h.Uname+":"+h.Gname)
	}
	if h.Typeflag != tar.TypeReg {
		return fmt.Errorf("%s is neither a file nor a folder", h.Name)
	}
	if err := r.folder(filepath.Dir(target), 0o755, ""); err != nil {
		return err
	}
	owner := h.Uname + ":" + h.Gname
	if p.Name == dataPlace {
		if filepath.Ext(target) == ".db" {
			r.stores = append(r.stores, target)
		}
		owner = p.Owner
	}
	text := content
	if p.Name == configPlace && r.to != "" {
		moved, err := r.moveGroupFile(content)
		if err != nil {
			return err
		}
		text = strings.NewReader(moved)
	}
	if err := writeFrom(target, text, h.FileInfo().Mode().Perm()); err != nil {
		return err
	}
	r.created = append(r.created, target)
	return giveTo(target, owner)
}

// placeOf finds the place of an entry, and its path from there.
func (r *restoring) placeOf(name string) (place, string, error) {
	for _, p := range r.places {
		rel, under := strings.CutPrefix(name, p.Name)
		rel = strings.TrimPrefix(rel, "/")
		if under && (rel == "" || filepath.IsLocal(filepath.FromSlash(rel)) && strings.HasPrefix(name, p.Name+"/")) {
			return p, filepath.FromSlash(rel), nil
		}
	}
	return place{}, "", fmt.Errorf("%q belongs to no place of the manifest", name)
}

// folder makes a folder and those above it, if they are not there.
func (r *restoring) folder(dir string, mode os.FileMode, owner string) error {
	made, err := makeDirs(dir)
	r.created = append(r.created, made...)
	if err != nil || len(made) == 0 {
		return err
	}
	if err := os.Chmod(dir, mode); err != nil {
		return err
	}
	return giveTo(dir, owner)
}

// writeFrom writes a new file, down to the disk.
func writeFrom(path string, content io.Reader, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

// finish makes the databases fit for their second life, and tells the audit log of it.
func (r *restoring) finish(ctx context.Context, m *manifest) error {
	for _, file := range r.stores {
		before, err := os.Stat(file)
		if err != nil {
			return err
		}
		if err := mendStore(ctx, file); err != nil {
			return err
		}
		if err := giveTo(file, ownerOf(before)); err != nil {
			return err
		}
	}
	return r.record(m)
}

// record has the audit log say why it lacks what was written since the backup. One from
// a backup that has none begins with the first start.
func (r *restoring) record(m *manifest) error {
	for _, p := range r.places {
		path := filepath.Join(p.Path, auditFile)
		if p.Name != dataPlace || !slices.Contains(r.created, path) {
			continue
		}
		_, err := audit.At(path).Append(audit.Entry{
			Time: time.Now().UTC(), Event: "restore", By: thisUser(),
			Note: "from the backup of " + m.Created.Format(time.RFC3339) + "; what was written down since then is not here",
		})
		return err
	}
	return nil
}

// mendStore makes right in a database what must not go back although its rows did:
// the versions of shadows, for one.
func mendStore(ctx context.Context, file string) error {
	schema := schemas[filepath.Base(file)]
	db, err := sqlite.Open(sqlite.Options{File: file, Migrations: schema.migrations})
	if err != nil {
		return err
	}
	if schema.mend == nil {
		return db.Close()
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- db.Run(run) }()
	err = db.Update(ctx, schema.mend)
	stop()
	return errors.Join(err, <-ended)
}

// undo removes what was made.
func (r *restoring) undo() {
	for i := len(r.created) - 1; i >= 0; i-- {
		path := r.created[i]
		for _, ending := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(path + ending) // a folder that something else has come into stays
		}
	}
}

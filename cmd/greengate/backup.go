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
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/core/sqlite"
)

// A backup is a tar archive, compressed by gzip and encrypted by age with a
// passphrase: `age -d FILE | tar xz` opens it without greengate. Its first entry is
// the manifest.

// manifest says what is in a backup, and where it was.
type manifest struct {
	Format  int       `json:"format"`
	Created time.Time `json:"created"`
	Version string    `json:"version"` // of the program
	Group   string    `json:"group"`
	Core    string    `json:"core"`
	Places  []place   `json:"places"`
}

// place is a file or folder of the site.
type place struct {
	Name  string `json:"name"`           // in the archive
	Path  string `json:"path"`           // where it was, absolute
	Key   string `json:"key,omitempty"`  // of the group file that leads to it
	Dir   bool   `json:"dir,omitempty"`  // a folder
	Owner string `json:"owner"`          // user:group, by name
	Mode  uint32 `json:"mode,omitempty"` // of a folder
}

const (
	manifestName   = "manifest.json"
	backupFormat   = 1
	configPlace    = "group.yaml"
	dataPlace      = "data"
	passphraseWork = 16 // scrypt's logN: 64 MiB and a second or two, which a small Pi has
)

func newBackup(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "write the whole site to one encrypted file, while the gateway runs",
		Long: `Writes the group file, the group CA with the record of devices, the cloud's
certificates, the folders of functions, a consistent copy of each database, the audit
log and the hash of the page's token to FILE, which must not exist. It is encrypted with a passphrase: from --passphrase-file, from
$GREENGATE_PASSPHRASE, or typed. Without the passphrase a backup is worth nothing, and
nobody can restore it. ` + "`greengate restore FILE`" + ` brings all of it back, but for the
keys of cloud.spool.encrypt, which are kept apart.`,
		Args: oneFile,
	}
	phraseFile := passphraseFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		return a.backup(cmd.Context(), args[0], *phraseFile)
	})
	return cmd
}

func (a *app) backup(ctx context.Context, file, phraseFile string) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(file); err == nil {
		return badInput("%s exists already (name a new file)", file)
	}
	phrase, err := a.passphrase(ctx, phraseFile, true)
	if err != nil {
		return err
	}
	stores, from, err := a.copyStores(ctx, c)
	if err != nil {
		return err
	}
	defer stores.Close()
	n, err := writeBackup(file, phrase, c, stores)
	if err != nil {
		return err
	}
	for _, k := range spoolKeys(c) {
		if !strings.HasPrefix(k.file, c.PKI.Dir+string(filepath.Separator)) { // what is there is in it
			a.complain(fmt.Errorf("note: the key %s is not in the backup: without it what waits for the cloud cannot be read (keep a copy of it elsewhere)", k.file))
		}
	}
	_, err = fmt.Fprintf(a.stdout, "%s: %s, %s, databases %s\n", file, counted(int64(len(c.Devices)), "device"), size(n), from)
	return err
}

// copyStores returns an archive of the databases: from a running daemon, or of the
// files.
func (a *app) copyStores(ctx context.Context, c *configs.Config) (archive io.ReadCloser, from string, err error) {
	archive, err = client.New(c.Socket()).CopyStores(ctx)
	if err == nil {
		return archive, "of the running daemon", nil
	}
	if !errors.Is(err, client.ErrNotRunning) {
		return nil, "", err
	}
	archive, err = copyStoreFiles(ctx, c.Data)
	return archive, "of a daemon that does not run", err
}

// copyStoreFiles is CopyStores without a daemon. The data folder is taken meanwhile,
// so that none starts.
func copyStoreFiles(ctx context.Context, data string) (io.ReadCloser, error) {
	release, err := lockData(data)
	if err != nil {
		return nil, err
	}
	defer release()
	dir, err := os.MkdirTemp(data, copiesMark)
	if err != nil {
		return nil, fmt.Errorf("make a folder for the copies: %w", err)
	}
	defer os.RemoveAll(dir)
	found, _ := filepath.Glob(filepath.Join(data, "*.db"))
	var files []string
	for _, file := range found {
		copied := filepath.Join(dir, filepath.Base(file))
		if err := copyStoreFile(ctx, copied, file); err != nil {
			return nil, err
		}
		files = append(files, copied)
	}
	others, err := copyOthers(dir, data)
	if err != nil {
		return nil, err
	}
	// The archive is a file that has no name any more: it goes with its reader.
	out, err := os.CreateTemp(dir, "archive-")
	if err != nil {
		return nil, fmt.Errorf("copy the databases: %w", err)
	}
	err = tarFiles(ctx, out, append(files, others...))
	if err == nil {
		_, err = out.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = out.Close()
		return nil, fmt.Errorf("copy the databases: %w", err)
	}
	return out, nil
}

// copyStoreFile copies a database with what stands in its WAL. It opens a copy, since
// to open a database is to change it.
func copyStoreFile(ctx context.Context, to, file string) error {
	raw := to + ".raw"
	for _, ending := range []string{"", "-wal"} {
		err := copyFile(raw+ending, file+ending)
		if err != nil && (ending == "" || !errors.Is(err, fs.ErrNotExist)) {
			return fmt.Errorf("copy the database: %w", err)
		}
	}
	db, err := sqlite.Open(sqlite.Options{File: raw, Migrations: schemas[filepath.Base(file)].migrations})
	if err != nil {
		return fmt.Errorf("copy the database %s: %w", file, err)
	}
	return errors.Join(db.Copy(ctx, to), db.Close())
}

// writeBackup writes a new file, whole or not at all, and returns its size.
func writeBackup(file, phrase string, c *configs.Config, stores io.Reader) (n int64, err error) {
	recipient, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return 0, inputError{err}
	}
	recipient.SetWorkFactor(passphraseWork)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, inputError{err}
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(file) // half a backup would look like a whole one
		}
	}()
	secret, err := age.Encrypt(f, recipient)
	if err != nil {
		return 0, fmt.Errorf("encrypt the backup: %w", err)
	}
	packed := gzip.NewWriter(secret)
	if err = writeArchive(packed, c, stores); err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	if err = errors.Join(packed.Close(), secret.Close(), f.Sync()); err != nil {
		return 0, fmt.Errorf("write the backup: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func writeArchive(w io.Writer, c *configs.Config, stores io.Reader) error {
	places, err := placesOf(c)
	if err != nil {
		return err
	}
	m := manifest{Format: backupFormat, Created: time.Now().UTC(), Version: version(), Group: c.Group, Core: c.Core, Places: places}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(text)), ModTime: m.Created, Format: tar.FormatPAX}); err != nil {
		return err
	}
	if _, err := t.Write(text); err != nil {
		return err
	}
	for _, p := range places {
		if p.Name == dataPlace {
			err = addStores(t, stores)
		} else {
			err = addPlace(t, p)
		}
		if err != nil {
			return err
		}
	}
	return t.Close()
}

// placesOf lists what belongs to a site: the group file first, so that a reader has it
// first.
func placesOf(c *configs.Config) ([]place, error) {
	places := []place{
		{Name: configPlace, Path: c.File}, {Name: "pki", Path: c.PKI.Dir, Key: "pki.dir"},
		{Name: dataPlace, Path: c.Data, Key: "data"},
	}
	if c.Cloud != nil {
		places = append(places,
			place{Name: "cloud/certificate.pem", Path: c.Cloud.Certificate, Key: "cloud.certificate"},
			place{Name: "cloud/ca.pem", Path: c.Cloud.CA, Key: "cloud.ca"})
		// A key in a token stays there, and its PIN beside it: elsewhere it opens nothing.
		if _, inToken := tokenKey(c); !inToken {
			places = append(places, place{Name: "cloud/private.key", Path: c.Cloud.Key, Key: "cloud.key"})
		}
	}
	for i, f := range c.Functions {
		places = append(places, place{Name: "functions/" + f.Name, Path: f.Dir, Key: fmt.Sprintf("functions.%d.dir", i)})
	}
	pki := c.PKI.Dir + string(filepath.Separator)
	places = slices.DeleteFunc(places, func(p place) bool {
		// The CA's folder has the first already; the others come with the system.
		return strings.HasPrefix(p.Path, pki) || strings.HasPrefix(p.Path, "/etc/ssl/") || strings.HasPrefix(p.Path, "/usr/")
	})
	for i := range places {
		p := &places[i]
		info, err := os.Stat(p.Path)
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(p.Name, "/") {
			p.Name = "" // of the cloud or a function, which are not set up yet
			continue
		}
		if err != nil {
			return nil, err
		}
		p.Owner, p.Dir = ownerOf(info), info.IsDir()
		if p.Dir {
			p.Mode = uint32(info.Mode().Perm())
		}
	}
	return slices.DeleteFunc(places, func(p place) bool { return p.Name == "" || p.Path == "" }), nil
}

// ownerOf names user and group: their numbers are others on another card.
func ownerOf(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	uid, gid := strconv.Itoa(int(st.Uid)), strconv.Itoa(int(st.Gid))
	if u, err := user.LookupId(uid); err == nil {
		uid = u.Username
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		gid = g.Name
	}
	return uid + ":" + gid
}

// addPlace puts a file, or a folder with all that is in it, into an archive.
func addPlace(t *tar.Writer, p place) error {
	return filepath.WalkDir(p.Path, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(p.Path, path)
		if err != nil {
			return err
		}
		name := p.Name
		if rel != "." {
			name += "/" + filepath.ToSlash(rel)
		}
		info, err := os.Stat(path) // a link to a file is kept as the file
		switch {
		case strings.HasPrefix(e.Name(), ".tmp-"):
			return nil // not whole
		case err != nil:
			return err
		case info.Mode().IsRegular():
			return addFile(t, name, path)
		case e.IsDir() && rel != ".":
			h := headerOf(name+"/", info)
			h.Typeflag = tar.TypeDir
			return t.WriteHeader(h)
		}
		return nil
	})
}

// addStores takes over an archive of databases.
func addStores(t *tar.Writer, stores io.Reader) error {
	in := tar.NewReader(stores)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the databases: %w", err)
		}
		h.Name = dataPlace + "/" + h.Name
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(t, in); err != nil {
			return fmt.Errorf("read the databases: %w", err)
		}
	}
}

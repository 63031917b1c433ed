package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	Home    place     `json:"home"` // the folder of the group file: its owner and mode
	Places  []place   `json:"places"`
}

const (
	manifestName   = "manifest.json"
	backupFormat   = 2 // 1 had no links, and places twice
	configPlace    = "group.yaml"
	pkiPlace       = "pki"
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
	places, err := placesOf(c)
	if err != nil {
		return err
	}
	stores, from, err := a.copyStores(ctx, c)
	if err != nil {
		return err
	}
	defer stores.Close()
	home := place{Path: filepath.Dir(c.File)}
	if err := home.look(); err != nil {
		return err
	}
	m := manifest{Format: backupFormat, Created: time.Now().UTC(), Version: version(), Group: c.Group, Core: c.Core, Home: home, Places: places}
	n, left, err := writeBackup(file, phrase, cmp.Or(a.scryptWork, passphraseWork), m, stores)
	if err != nil {
		return err
	}
	for _, text := range left {
		a.complain(errors.New("note: " + printable(text)))
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
	found, err := filesIn(data, "*.db")
	if err != nil {
		return nil, fmt.Errorf("find the databases: %w", err)
	}
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

// writeBackup writes a new file, whole or not at all, and returns its size and what it
// leaves out.
func writeBackup(file, phrase string, work int, m manifest, stores io.Reader) (n int64, left []string, err error) {
	recipient, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return 0, nil, inputError{err}
	}
	recipient.SetWorkFactor(work)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, nil, inputError{err}
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(file) // half a backup would look like a whole one
		}
	}()
	secret, err := age.Encrypt(f, recipient)
	if err != nil {
		return 0, nil, fmt.Errorf("encrypt the backup: %w", err)
	}
	packed := gzip.NewWriter(secret)
	k := &packer{t: tar.NewWriter(packed), places: m.Places, self: realPath(file), lacks: authority}
	if err = k.archive(m, stores); err != nil {
		return 0, nil, fmt.Errorf("write the backup: %w", err)
	}
	if err = errors.Join(packed.Close(), secret.Close(), f.Sync()); err != nil {
		return 0, nil, fmt.Errorf("write the backup: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	return info.Size(), k.left, nil
}

// archive writes the whole archive.
func (k *packer) archive(m manifest, stores io.Reader) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := k.t.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(text)), ModTime: m.Created, Format: tar.FormatPAX}); err != nil {
		return err
	}
	if _, err := k.t.Write(text); err != nil {
		return err
	}
	for _, p := range m.Places {
		switch {
		case p.Name == dataPlace:
			err = addStores(k.t, stores)
		case p.Within == "":
			err = k.place(p)
		}
		if err != nil {
			return err
		}
	}
	if len(k.lacks) > 0 {
		return badInput("the group CA is not whole: there is no %s (without it a backup is worth little; bring it back, or name its folder in pki.dir)", k.lacks[0])
	}
	return k.t.Close()
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

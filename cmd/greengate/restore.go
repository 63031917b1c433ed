package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
	"github.com/spf13/cobra"
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
	var lacks []string
	m, err := readBackup(file, phrase, requireAuthority(&lacks))
	if err != nil {
		return err
	}
	if len(lacks) > 0 {
		return badInput("%s has no %s: no gateway starts with what is in it (take another; `age -d %s | tar xz` opens this one)", file, lacks[0], file)
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
		if p.Within == "" {
			fmt.Fprintf(a.stdout, "  %s\n", p.Path)
		}
	}
	_, err = fmt.Fprintf(a.stdout, "\nnext:\n  greengate doctor --config %s\n  systemctl start greengate, or greengate run --config %s\n", r.config(), r.config())
	return err
}

// readBackup reads a backup to its end, and gives each entry to take.
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
		placed = take(h, content)
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

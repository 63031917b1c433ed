package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"greengate/core/admin"
	"greengate/core/audit"
)

// copiesMark begins the names of folders for copies in the data folder.
const copiesMark = ".copies-"

// removeCopies removes what a backup that was cut off has left behind. The caller
// has the data folder for itself.
func removeCopies(data string) {
	left, _ := filesIn(data, copiesMark+"*")
	for _, dir := range left {
		_ = os.RemoveAll(dir) // it costs room, no more; the next start tries again
	}
}

// answerStores sends a copy of each database, made while it is in use. The copies are
// taken one after the other: each is of one moment, all together are not.
func (g *gateway) answerStores(w http.ResponseWriter, r *http.Request) {
	dir, err := os.MkdirTemp(g.begun.Data, copiesMark)
	if err != nil {
		admin.Refuse(w, http.StatusInternalServerError, fmt.Errorf("make a folder for the copies: %w", err))
		return
	}
	defer os.RemoveAll(dir)
	// What can fail comes before the first byte of the answer: a full disk gets a
	// word and not a broken archive.
	var files []string
	for _, st := range g.stores {
		file := filepath.Join(dir, filepath.Base(st.file))
		if err := st.db.Copy(r.Context(), file); err != nil {
			g.audit(st.component, "copy", err)
			admin.Refuse(w, http.StatusInternalServerError, err)
			return
		}
		files = append(files, file)
	}
	others, err := copyOthers(dir, g.begun.Data)
	if err != nil {
		g.audit("store", "copy", err)
		admin.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	if err := tarFiles(r.Context(), w, append(files, others...)); err != nil {
		g.audit("store", "copy", err)
		panic(http.ErrAbortHandler) // so that the other end sees that this was not all
	}
	g.audit("store", "copy", nil, "databases", len(files))
}

// others are the files of the data folder that belong to the site besides its databases and
// the audit log. The rest is of this card or this run: what was written today, starts in a row,
// the socket, the lock, what functions wrote for themselves.
var others = []string{tokenName, learnName}

// copyOthers copies the audit log and the others that are there into a folder.
func copyOthers(dir, data string) ([]string, error) {
	files, err := audit.At(filepath.Join(data, auditFile)).Copy(dir)
	if err != nil {
		return nil, fmt.Errorf("copy the audit log: %w", err)
	}
	for _, name := range others {
		to := filepath.Join(dir, name)
		err := copyFile(to, filepath.Join(data, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", name, err)
		}
		files = append(files, to)
	}
	return files, nil
}

// tarFiles writes an archive of files, by their names without folders.
func tarFiles(ctx context.Context, w io.Writer, files []string) error {
	t := tar.NewWriter(w)
	for _, file := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := addFile(t, filepath.Base(file), file); err != nil {
			return err
		}
	}
	return t.Close()
}

// headerOf describes a file or folder.
func headerOf(name string, info fs.FileInfo) *tar.Header {
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	h.Uname, h.Gname, _ = strings.Cut(ownerOf(info), ":")
	return h
}

// addHead puts what has no content, a folder or a link to somewhere, into an archive.
func addHead(t *tar.Writer, name string, kind byte, to string, info fs.FileInfo) error {
	h := headerOf(name, info)
	h.Typeflag, h.Linkname = kind, to
	return t.WriteHeader(h)
}

// addFile puts a file into an archive.
func addFile(t *tar.Writer, name, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	h := headerOf(name, info)
	h.Size = info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	// Copied by the size of the header: a file that grows meanwhile does no harm.
	if _, err := io.CopyN(t, f, info.Size()); errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: it became shorter meanwhile (try again)", file)
	} else if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}

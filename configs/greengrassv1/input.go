package greengrassv1

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// File is one input.
type File struct {
	// Name is the path as a person would write it; within a zip ZIP/NAME.
	Name string
	Data []byte
	// Named says that the caller named this very file, so that it must be something
	// that the import knows.
	Named bool
	// Guessed says that its beginning alone made it an input, not the end of its name.
	Guessed bool
	// Unread says why Data is not there: a file in a folder that may not be read.
	Unread string
}

// The bounds of an input: far more than any group has, and less than a machine's memory.
const (
	maxFile    = 32 << 20
	maxAll     = 256 << 20
	maxFiles   = 20_000
	maxGuessed = 4 << 20
)

// known are the ends of names that are read in folders and zips. A core's folder has
// much else in it: the code of functions, logs. Of that a file is read when it is small and
// begins as JSON, YAML or PEM may.
var known = []string{".json", ".yaml", ".yml", ".template", ".txt", ".pem", ".crt", ".cer", ".cert", ".key"}

// Collect reads files, folders with all below them, and zip archives.
func Collect(paths []string) ([]File, error) {
	c := collector{}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			err = c.folder(p)
		} else {
			err = c.named(p)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.files, nil
}

var beginnings = []string{"{", "[", "---", "\uFEFF", "\xFF\xFE", "\xFE\xFF"}

type collector struct {
	files []File
	size  int64
}

func (c *collector) named(name string) error {
	data, err := c.read(name)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		return c.zip(name, data)
	}
	return c.add(File{Name: name, Data: data, Named: true})
}

func (c *collector) read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return c.bounded(name, f)
}

func (c *collector) bounded(name string, r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s has more than %d MiB, which no group has", name, maxFile>>20)
	}
	return data, nil
}

func (c *collector) add(f File) error {
	c.size += int64(len(f.Data))
	if c.size > maxAll || len(c.files) >= maxFiles {
		return fmt.Errorf("the inputs are more than %d files or %d MiB (name the files of the group alone)", maxFiles, maxAll>>20)
	}
	c.files = append(c.files, f)
	return nil
}

// folder reads what a folder holds. What it may not read stands in the report: the keys
// of a core belong to root.
func (c *collector) folder(dir string) error {
	root, err := filepath.EvalSymlinks(dir) // WalkDir follows no link, not even the first
	if err != nil {
		return err
	}
	var others skipped
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return c.add(File{Name: name, Unread: "permission denied"})
		case err != nil:
			return err
		case d.IsDir():
			if name != root && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
			return nil // a link that leads nowhere, a socket
		}
		zipped := strings.EqualFold(path.Ext(name), ".zip")
		guessed := !readable(name) && !zipped
		if guessed && (info.Size() > maxGuessed || !begins(func() (io.ReadCloser, error) { return os.Open(name) })) {
			others.add(strings.TrimPrefix(name, root+"/"))
			return nil
		}
		data, err := c.read(name)
		switch {
		case errors.Is(err, fs.ErrPermission):
			return c.add(File{Name: name, Unread: "permission denied"})
		case err != nil:
			return err
		case zipped && bytes.HasPrefix(data, []byte("PK\x03\x04")):
			return c.zip(name, data)
		case zipped:
			return nil
		}
		return c.add(File{Name: name, Data: data, Guessed: guessed})
	})
	if err != nil {
		return err
	}
	return c.leave(dir, &others)
}

// skipped are files that are not read, since neither name nor beginning says that they
// could be an input.
type skipped struct {
	n     int
	names []string // of the first few
}

func (s *skipped) add(name string) {
	if s.n++; s.n <= 3 {
		s.names = append(s.names, name)
	}
}

// leave says which files of a folder or zip were not read.
func (c *collector) leave(dir string, s *skipped) error {
	if s.n == 0 {
		return nil
	}
	text := count(s.n, "file") + " taken for code or logs: " + strings.Join(s.names, ", ")
	if s.n > len(s.names) {
		text += fmt.Sprintf(" and %d more", s.n-len(s.names))
	}
	return c.add(File{Name: dir, Unread: text})
}

// begins tells whether a file begins as one that is read whatever it is called.
func begins(open func() (io.ReadCloser, error)) bool {
	r, err := open()
	if err != nil {
		return false
	}
	defer r.Close()
	head := make([]byte, 512)
	n, _ := io.ReadFull(r, head) // a short one has a beginning, too
	text := strings.TrimLeft(string(head[:n]), " \t\r\n")
	return slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(text, b) })
}

func readable(name string) bool { return slices.Contains(known, strings.ToLower(path.Ext(name))) }

func (c *collector) zip(name string, data []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	var others skipped
	for _, entry := range archive.File {
		if entry.FileInfo().IsDir() {
			continue
		}
		guessed := !readable(entry.Name)
		if guessed && (entry.UncompressedSize64 > maxGuessed || !begins(entry.Open)) {
			others.add(entry.Name)
			continue
		}
		r, err := entry.Open()
		if err != nil {
			return fmt.Errorf("read %s in %s: %w", entry.Name, name, err)
		}
		text, err := c.bounded(name+"/"+entry.Name, r)
		r.Close()
		if err == nil {
			err = c.add(File{Name: name + "/" + entry.Name, Data: text, Guessed: guessed})
		}
		if err != nil {
			return err
		}
	}
	return c.leave(name, &others)
}

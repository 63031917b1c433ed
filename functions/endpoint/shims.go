package endpoint

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// shims holds, below python and node, what runtimes look for in PYTHONPATH and
// NODE_PATH.
//
//go:embed shims/python/*/*.py shims/node/*.js shims/node/*/*.js
var shims embed.FS

// WriteShims writes the shims below dir, where every user may read them. Those
// that are there already stay as they are; functions may run meanwhile.
func WriteShims(dir string) error {
	root, err := fs.Sub(shims, "shims")
	if err != nil {
		panic(err) // a fault in our own paths
	}
	err = fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if d.IsDir() {
			if err := os.MkdirAll(path, 0o755); err != nil {
				return err
			}
			return os.Chmod(path, 0o755) // whatever the umask
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		return writeShim(path, content)
	})
	if err != nil {
		return fmt.Errorf("write the shims: %w", err)
	}
	return nil
}

// writeShim puts a file in its place as a whole, if it is not there.
func writeShim(path string, content []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return os.Chmod(path, 0o644)
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".shim-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // it is gone if all went well
	_, err = file.Write(content)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"greengate/sync/cloud/cloudtest"
)

// keptName is the file in DIR in which shadows and retained messages outlive the program,
// as they outlive everything in AWS: a cloud that has forgotten a shadow has deleted it.
const keptName = "kept.json"

// keeper writes what the cloud keeps into a file, soon after it has changed.
type keeper struct {
	file    string
	changed chan struct{} // level-triggered
}

func newKeeper(dir string) *keeper {
	return &keeper{filepath.Join(dir, keptName), make(chan struct{}, 1)}
}

// change is told of each change; it does not block.
func (k *keeper) change() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// load hands a cloud what the last one has kept.
func (k *keeper) load(c *cloudtest.Cloud) error {
	saved, err := os.ReadFile(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = c.Load(saved)
	}
	if err != nil {
		return fmt.Errorf("%s: %w (delete it to begin without shadows)", k.file, err)
	}
	return nil
}

// run saves until ended is closed, and once more then.
func (k *keeper) run(c *cloudtest.Cloud, ended <-chan struct{}) {
	for more := true; more; {
		select {
		case <-k.changed:
		case <-ended:
			more = false
		}
		if err := k.save(c); err != nil {
			slog.Error("The shadows and retained messages cannot be kept", "err", err)
		}
	}
}

// save writes the file, whole or not at all.
func (k *keeper) save(c *cloudtest.Cloud) error {
	text, err := c.Save()
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.file+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(k.file+".new", k.file)
}

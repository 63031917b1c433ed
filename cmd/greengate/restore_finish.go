package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"greengate/core/audit"
	"greengate/core/sqlite"
)

// finish makes what is left: empty folders, databases that are fit for their second life,
// links, an entry of the audit log, and the modes of folders.
func (r *restoring) finish(ctx context.Context, m *manifest) error {
	for _, p := range r.places {
		if p.Dir && p.Within == "" {
			if err := r.folder(p.Path, os.FileMode(p.Mode), p.Owner); err != nil {
				return err
			}
		}
	}
	if m.Home.Dir {
		if err := r.folder(filepath.Dir(r.config()), os.FileMode(m.Home.Mode), m.Home.Owner); err != nil {
			return err
		}
	}
	if err := r.mendStores(ctx); err != nil {
		return err
	}
	if err := r.makeLinks(); err != nil {
		return err
	}
	if err := r.record(m); err != nil {
		return err
	}
	for _, f := range r.modes {
		if err := os.Chmod(f.path, f.mode); err != nil {
			return err
		}
	}
	return nil
}

func (r *restoring) mendStores(ctx context.Context) error {
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
	return nil
}

// record has the audit log say why it lacks what was written since the backup. One from
// a backup that has none begins with the first start.
func (r *restoring) record(m *manifest) error {
	for _, p := range r.places {
		path := filepath.Join(p.Path, auditFile)
		if p.Name != dataPlace || !r.made[path] {
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

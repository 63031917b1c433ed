package main

import (
	"io/fs"
	"path/filepath"
	"time"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/core/broker"
	"greengate/core/sqlite"
	"greengate/functions"
	"greengate/localshadow"
	"greengate/sync/telemetry"
)

// store is a database of the data folder.
type store struct {
	component string // whose it is, in the words of faults
	file      string
	db        *sqlite.Kept
}

// smallPages are those of databases whose commits bring a row or two each, in bytes: an SD
// card wears by pages. The spool's commits bring more, and keep the usual ones.
const smallPages = 1024

// schemas are the databases of the data folder, by name, as commands open them
// that work without the daemon.
var schemas = map[string]struct {
	migrations fs.FS
	mend       func(*sqlite.Tx) error // makes right what must not go back although the rows did
}{
	"shadows.db":   {localshadow.Migrations(), localshadow.MendCopy},
	"sessions.db":  {broker.Migrations(), broker.Mend},
	"spool.db":     {telemetry.Migrations(), telemetry.Mend},
	"functions.db": {functions.Migrations(), nil},
}

// openStore opens a database of the data folder, which it restores when it is damaged.
func (g *gateway) openStore(c *configs.Config, component, name string, o sqlite.Options, keep sqlite.Keep) (*sqlite.Kept, error) {
	o.File, o.Log = filepath.Join(c.Data, name), g.log
	db, err := sqlite.OpenKept(o, keep)
	if err != nil {
		return nil, err
	}
	g.stores = append(g.stores, store{component, o.File, db})
	return db, nil
}

// reportStores tells of damaged and restored databases.
func (g *gateway) reportStores(s *client.Status) {
	for _, st := range g.stores {
		for _, f := range st.db.Faults() {
			fault := client.Fault{Component: st.component, Message: f.Message, NextStep: f.NextStep}
			if since := f.Since; since != (time.Time{}) {
				fault.Since = &since
			}
			s.Faults = append(s.Faults, fault)
		}
	}
}

// closeStores closes the databases of a gateway that never ran.
func (g *gateway) closeStores() {
	for _, st := range g.stores {
		_ = st.db.Close() // of one that ran, Run has told the error
	}
}

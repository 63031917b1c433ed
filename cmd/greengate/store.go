package main

import (
	"path/filepath"
	"time"

	"greengate/configs"
	"greengate/core/admin/client"
	"greengate/core/sqlite"
)

// store is a database of the data folder.
type store struct {
	component string // whose it is, in the words of faults
	db        *sqlite.Kept
}

// openStore opens a database of the data folder, which it restores when it is damaged.
func (g *gateway) openStore(c *configs.Config, component, name string, o sqlite.Options, keep sqlite.Keep) (*sqlite.Kept, error) {
	o.File, o.Log = filepath.Join(c.Data, name), g.log
	db, err := sqlite.OpenKept(o, keep)
	if err != nil {
		return nil, err
	}
	g.stores = append(g.stores, store{component, db})
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

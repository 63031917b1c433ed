package main

import (
	"log/slog"

	"greengate/core/admin/client"
	"greengate/functions/sandbox"
)

// checkFunctions tells what closes functions in on this machine: as the daemon has it, or,
// when none runs, as this process would.
func (d *doctor) checkFunctions() {
	if len(d.config.Functions) == 0 {
		return
	}
	if d.daemon != nil {
		if list, err := d.daemon.Functions(d.ctx); err == nil {
			d.tellIsolation(&list.Isolation)
			return
		}
	}
	s, err := sandbox.New(sandbox.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		d.wrong("functions", "run doctor as the user of the daemon", "they cannot be closed in: %v", err)
		return
	}
	i := isolation(s.Confinement())
	d.tellIsolation(&i)
}

func (d *doctor) tellIsolation(i *client.Isolation) {
	for _, missing := range i.Missing {
		d.note("functions", "", "%s", missing)
	}
	d.well("functions", "closed in by %s", isolationWords(i))
}

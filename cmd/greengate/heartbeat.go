package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"greengate/core/admin/client"
	"greengate/core/sqlite"
)

// heartbeat feeds the watchdog of systemd, after each check that the gateway
// does its work: a message by MQTT through the broker, and a transaction of each
// store. A check that hangs, or fails again and again, lets the watchdog fire.
// What a restart cannot mend, such as a full disk, is a fault in the status and
// no reason to withhold.
type heartbeat struct {
	notify *notifier
	every  time.Duration // between two checks
	check  func(ctx context.Context) error
	status func() string
	log    *slog.Logger

	failing bool
	said    string // the last status line
}

// newHeartbeat checks three times within the limit of the watchdog, so that one
// slow commit on a card does not end the gateway.
func (g *gateway) newHeartbeat() *heartbeat {
	p := &pulse{g: g}
	return &heartbeat{
		notify: g.notify, every: cmp.Or(g.notify.watchdog/3, statusEvery), check: g.pulse.keep(p.check),
		status: g.statusLine, log: g.log.With("component", "watchdog"),
	}
}

// statusEvery is how often the line of `systemctl status` is renewed while there
// is no watchdog to feed.
const statusEvery = 20 * time.Second

// Run beats until ctx ends.
func (h *heartbeat) Run(ctx context.Context) error {
	if h.notify.socket == "" {
		return nil // nobody listens
	}
	select {
	case <-h.notify.begun:
	case <-ctx.Done():
		return nil
	}
	tick := time.NewTicker(h.every)
	defer tick.Stop()
	for {
		h.beat(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *heartbeat) beat(ctx context.Context) {
	if h.notify.watchdog > 0 {
		bounded, cancel := context.WithTimeout(ctx, h.notify.watchdog)
		err := h.check(bounded)
		cancel()
		if ctx.Err() != nil {
			return
		}
		switch failing := err != nil; {
		case failing && !h.failing:
			h.log.Error("a check of the gateway's own way failed; systemd restarts it if that lasts", "err", err)
		case !failing && h.failing:
			h.log.Info("the check of the gateway's own way passes again")
		}
		if h.failing = err != nil; h.failing {
			return
		}
		h.notify.fed()
	}
	if line := h.status(); line != h.said {
		h.said = line
		h.notify.status(line)
	}
}

// pulse is the check of the real path.
type pulse struct {
	g       *gateway
	probe   *probe
	touched time.Time // when the stores last had a row of ours to write
}

// touchEvery is how often the check writes to the disk when nobody else does: a
// commit costs an SD card some 20 KiB, which every ten seconds would be 170 MiB
// a day and each hour is nothing. In between the transaction of the check is
// empty: it passes the queue, the writer and the lock of the file, where a write
// that the disk does not take stands before it.
const touchEvery = time.Hour

func (p *pulse) check(ctx context.Context) error {
	if p.probe == nil {
		conn, err := p.g.dialProbe(ctx)
		if err != nil {
			return err
		}
		p.probe = conn
	}
	if err := p.probe.pass(ctx); err != nil {
		p.probe.close()
		p.probe = nil
		return fmt.Errorf("send a message to itself: %w", err)
	}
	write := time.Since(p.touched) >= touchEvery
	for _, st := range p.g.stores {
		err := st.db.Update(ctx, func(tx *sqlite.Tx) error {
			if !write {
				return nil
			}
			return tx.Touch()
		})
		if err != nil && !sqlite.OfDisk(err) {
			return fmt.Errorf("write to the store of %s: %w", st.component, err)
		}
	}
	if write {
		p.touched = time.Now()
	}
	return nil
}

// statusLine says in a line how the gateway is.
func (g *gateway) statusLine() string {
	var s client.Status
	for _, report := range []func(*client.Status){g.reportSite, g.reportDevices, g.reportFaults, g.reportStores} {
		report(&s)
	}
	if g.page != nil {
		g.page.Report(&s)
	}
	connected := 0
	for _, d := range s.Devices {
		if d.Connected {
			connected++
		}
	}
	line := fmt.Sprintf("%d of %s connected", connected, counted(int64(len(s.Devices)), "device"))
	if s.Cloud.Configured {
		word := "away"
		if s.Cloud.Connected {
			word = "connected"
		}
		line += ", cloud " + word
	}
	if n := len(s.Faults); n > 0 {
		first, _, _ := strings.Cut(s.Faults[0].Message, "\n")
		line += fmt.Sprintf(", %s: %s", counted(int64(n), "fault"), first)
	}
	return line
}

package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"greengate/configs"
	"greengate/core/message"
	"greengate/subscriptions"
	"greengate/sync/cloud"
)

// reload reads the group file again and puts it in force whole, or, when it has
// a fault, leaves everything as it was. It returns the generation in force.
// What became of it is logged here and shown in the status; the audit log names who asked.
func (g *gateway) reload(by string) (generation uint64, err error) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	defer g.notify.reloading()()
	g.audits.record("found", "") // what has changed by itself so far is not due to who asks now
	old := g.current().config
	c, err := g.take(old)
	if err != nil {
		g.mu.Lock()
		g.force.err, g.force.failedAt = err, time.Now()
		g.mu.Unlock()
		for fault := range strings.SplitSeq(err.Error(), "\n") {
			g.log.Error("fault in the group file", "component", "config", "err", fault)
		}
		g.log.Error("the group file was not taken up; the old one stays in force", "component", "config")
		return 0, err
	}
	go giveBackMemory() // a collection of all garbage takes its time
	setLevel(g.level, c.Log)
	g.tellWarnings(c)
	g.tellWaiting()
	g.audits.record("reload", by)
	now := g.current()
	g.log.Info("the group file was taken up", "component", "config", "generation", now.generation,
		"devices", len(c.Devices), "rows", now.rows)
	return now.generation, nil
}

// take reads the file and swaps everything that depends on it. Nothing that can
// fail comes after the first swap.
func (g *gateway) take(old *configs.Config) (*configs.Config, error) {
	c, err := configs.Load(old.File)
	if err != nil {
		return nil, err
	}
	if c.Data != g.begun.Data {
		return nil, c.FaultAt("data", dataStays, moveData(g.begun.Data, c.Data))
	}
	if err := g.judgePins(old, c); err != nil {
		return nil, err
	}
	table, err := subscriptions.Compile(c.Subscriptions, c.Site())
	if err != nil {
		return nil, fmt.Errorf("compile subscriptions: %w", err)
	}
	// What the new rows lead to must be there; what the old ones lead to may go, since a
	// file whose rows name a function that is gone is none.
	functions := func() error { return g.functions.manager.Apply(c.Functions) }
	if err := g.identities.LoadWith(pkiDevices(c), functions); err != nil {
		return nil, err
	}
	g.putInForce(c, table)
	for _, recheck := range g.rechecks {
		recheck()
	}
	g.discovery.Update(c.Discovery)
	if err := g.server.SetNames(serverNames(c)); err != nil {
		// The old certificate serves on, and the room tries again by itself.
		g.log.Error("the server certificate does not cover the new discovery.hosts", "component", "pki", "err", err)
	}
	g.pins.ReportAgain() // a thing may have a shadow now
	g.broker.SetStrict(c.Broker.StrictSubscribe)
	// Last: whoever is no device any more is cut, and cannot come back.
	g.broker.Recheck(membersOf(c))
	if g.uplink != nil {
		g.uplink.link.Refresh()
		g.uplink.sync.Refresh()
	}
	return c, nil
}

// stands tells whether a message of a source may still go on to where it waits; see
// router.Stands. What waited on disk may name a source that was damaged there.
func (g *gateway) stands(source, topic string, to message.Endpoint) bool {
	from, err := message.ParseEndpoint(source)
	return err == nil && g.router.Stands(from, topic, to)
}

// membersOf returns what tells whether a thing is a device of the file.
func membersOf(c *configs.Config) func(thing string) bool {
	members := map[string]bool{probeThing: true}
	for _, d := range c.Devices {
		members[d.Thing] = true
	}
	return func(thing string) bool { return members[thing] }
}

// putInForce swaps the table of the router together with what reports say of
// it.
func (g *gateway) putInForce(c *configs.Config, table *subscriptions.Table) {
	rows := len(c.Subscriptions)
	var filters []cloud.Subscription
	if g.begun.Cloud != nil {
		filters = cloudFilters(c)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// The table holds all that is asked of a row later. The rows as they were read
	// would cost a third of the memory besides: 350 bytes each (`make bench`).
	c.Subscriptions = nil
	g.force = inForce{
		config: c, table: table, rows: rows, filters: filters, loadedAt: time.Now(),
		waiting:    restartKeys(g.begun, c),
		shadowless: shadowless(c),
		generation: g.router.SetGate(gate{table}),
	}
}

// current returns what is in force.
func (g *gateway) current() inForce {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.force
}

// startKeys are the keys that the daemon cannot take up while it runs, and where their values are.
// Of `data` it takes up no other value at all.
var startKeys = []struct {
	name string
	of   func(*configs.Config) any // a pointer
}{
	{"group", func(c *configs.Config) any { return &c.Group }},
	{"core", func(c *configs.Config) any { return &c.Core }},
	{"broker.listen", func(c *configs.Config) any { return &c.Broker.Listen }},
	{"discovery.listen", func(c *configs.Config) any { return &c.Discovery.Listen }},
	{"admin.listen", func(c *configs.Config) any { return &c.Admin.Listen }},
	{"pki.dir", func(c *configs.Config) any { return &c.PKI.Dir }},
	{"cloud", func(c *configs.Config) any { return &c.Cloud }},
	{"gpio", func(c *configs.Config) any { return &c.GPIO }},
	{"log.format", func(c *configs.Config) any { return &c.Log.Format }},
}

// restartKeys are the keys whose values in the file differ from those with
// which the daemon began, and which it cannot take up while it runs.
func restartKeys(begun, c *configs.Config) (keys []string) {
	for _, key := range startKeys {
		if !reflect.DeepEqual(key.of(begun), key.of(c)) {
			keys = append(keys, key.name)
		}
	}
	return keys
}

// working is a file that is in force, with the values by which the daemon works in the place of
// those that wait for a restart.
func working(begun, c *configs.Config) *configs.Config {
	w := *c
	w.Data = begun.Data
	for _, key := range startKeys {
		reflect.ValueOf(key.of(&w)).Elem().Set(reflect.ValueOf(key.of(begun)).Elem())
	}
	return &w
}

// A daemon takes up no file with another data folder: its databases and its control socket
// would be where nobody looks for them.
const dataStays = "cannot change while the daemon runs"

func moveData(from, to string) string {
	return fmt.Sprintf("stop it, move %s to %s, put the file in place, start it", from, to)
}

// tellWaiting says once for each key that it waits for a restart.
func (g *gateway) tellWaiting() {
	for _, key := range g.current().waiting {
		if !g.said[key] {
			g.said[key] = true
			g.log.Warn("a changed key takes effect at the next start only", "component", "config", "key", key)
		}
	}
}

// tellWarnings says what the file may hold but its author hardly meant; each once.
func (g *gateway) tellWarnings(c *configs.Config) {
	say := func(text string) {
		if !g.said[text] {
			g.said[text] = true
			g.log.Warn("warning of the group file", "component", "config", "warning", text)
		}
	}
	for _, w := range c.Warnings {
		say(w.Error())
	}
}

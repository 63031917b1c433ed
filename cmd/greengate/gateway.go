package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/configs"
	"greengate/core/admin"
	"greengate/core/broker"
	"greengate/core/dataplane"
	"greengate/core/lifecycle"
	"greengate/core/message"
	"greengate/core/pki"
	"greengate/core/router"
	"greengate/core/sqlite"
	"greengate/discovery"
	"greengate/gpio"
	"greengate/localshadow"
	"greengate/subscriptions"
	"greengate/sync/cloud"
)

// gateway is the running gateway: all rooms, wired.
type gateway struct {
	begun   *configs.Config // that of the start
	log     *slog.Logger
	level   *slog.LevelVar
	started time.Time
	unlock  func() // of the data folder
	backOff *backOff

	router        *router.Router
	authority     *pki.Authority
	identities    *connections
	probeIdentity *probeIdentity
	expiry        *expiry
	writes        *writeBudget
	notify        *notifier
	server        *pki.ServerCertificate
	stores        []store // the databases that are open
	shadowDB      *sqlite.Kept
	shadows       *localshadow.Service
	pins          *gpio.Bank
	uplink        *uplink // nil: no cloud
	left          left    // without one
	functions     *host
	sessionDB     *sqlite.Kept
	handshakes    *pki.Handshakes // of the broker's and of discovery's listeners
	broker        *broker.Broker
	learn         *subscriptions.Recorder
	data          *dataplane.Handler
	discovery     *discovery.Server
	admin         *admin.Server
	page          *admin.Page // nil: switched off
	pulse         lastPulse
	rechecks      []func() // of the rooms in which messages wait: each drops what does not stand any more
	audits        *auditor

	reloading sync.Mutex      // one reload at a time
	said      map[string]bool // what has been said of keys that wait for a restart; guarded by reloading

	mu    sync.RWMutex // guards force; held while a table is put in force, so that a report sees the one or the other
	force inForce
}

// inForce is what the last good reading of the group file gave, and what the
// last reading said.
type inForce struct {
	config     *configs.Config
	table      *subscriptions.Table
	rows       int                  // of the file
	filters    []cloud.Subscription // what the rows from the cloud need of it; nil without a cloud
	generation uint64
	loadedAt   time.Time
	err        error // of the last reload; nil when it worked
	failedAt   time.Time
	waiting    []string        // keys that changed in the file and wait for a restart
	shadowless map[string]bool // devices without a shadow
}

// openGateway makes everything that can fail before the gateway serves: it
// takes the data folder, reads keys and binds every listener. The error is an
// inputError when the set-up is wrong, and that of ctx when it has ended before
// there was a gateway. Close gives back what Run has not.
func openGateway(ctx context.Context, c *configs.Config, log *slog.Logger, level *slog.LevelVar) (*gateway, error) {
	g := &gateway{begun: c, log: log, level: level, started: time.Now(), said: map[string]bool{}, handshakes: pki.NewHandshakes()}
	g.notify = newNotifier(log)
	g.router = router.New(log)
	for _, step := range []func(*configs.Config) error{
		g.openPins, g.openData,
		// With the pins at their safe levels, and before anything that may fail again.
		func(*configs.Config) error { return g.backOff.wait(ctx) },
		g.openIdentities, g.openTable, g.openShadows, g.bindPins,
		// The control socket before the ports: who finds these open can ask for
		// the status.
		g.openUplink, g.openFunctions, g.openAdmin, g.openBroker, g.openLearn, g.openDiscovery, g.openPage, g.collectFunctions,
	} {
		if err := step(c); err != nil {
			if g.backOff != nil && (errors.As(err, new(inputError)) || ctx.Err() != nil) {
				g.backOff.forget()
			}
			g.close()
			return nil, err
		}
	}
	g.tellWarnings(c)
	for _, text := range looseKeys(c) {
		g.log.Error(text, "component", "pki", "next_step", tightenKeys(c))
	}
	for _, k := range looseSpoolKeys(c) {
		g.log.Error(k.problem, "component", "spool", "next_step", k.next)
	}
	return g, nil
}

func (g *gateway) openData(c *configs.Config) error {
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	unlock, err := lockData(c.Data)
	if err != nil {
		return err
	}
	g.unlock = unlock
	g.backOff = newBackOff(c.Data, g.notify, g.log)
	removeCopies(c.Data)
	return nil
}

func (g *gateway) openIdentities(c *configs.Config) (err error) {
	if g.authority, err = pki.Open(c.PKI.Dir, pki.Clock{}); err != nil {
		return inputError{err}
	}
	identities, err := g.authority.Identities(pkiDevices(c), g.log)
	if err != nil {
		return err
	}
	g.identities = &connections{Identities: identities}
	g.server, err = g.authority.ServerCertificate(serverNames(c), g.log)
	return err
}

// serverNames are the names and addresses, besides those of the machine, by
// which clients come to the gateway and which its certificate must bear.
func serverNames(c *configs.Config) []string {
	names := append([]string{discovery.HostName(c.Core)}, c.Discovery.Hosts...)
	for _, listen := range slices.Concat(c.Broker.Listen, c.Discovery.Listen, []string{c.Admin.Listen}) {
		host, _, err := net.SplitHostPort(listen)
		if ip := net.ParseIP(host); err == nil && host != "" && (ip == nil || !ip.IsUnspecified()) {
			names = append(names, host)
		}
	}
	return names
}

func (g *gateway) openTable(c *configs.Config) error {
	table, err := subscriptions.Compile(c.Subscriptions, c.Site())
	if err != nil {
		return fmt.Errorf("compile subscriptions: %w", err)
	}
	g.putInForce(c, table)
	return nil
}

func (g *gateway) openBroker(c *configs.Config) (err error) {
	g.sessionDB, err = g.openStore(c, "broker", "sessions.db",
		sqlite.Options{Migrations: broker.Migrations(), PageSize: smallPages, Readers: 1}, sqlite.Keep{Mend: broker.Mend})
	if err != nil {
		return err
	}
	if g.probeIdentity, err = newProbeIdentity(g.identities); err != nil {
		return err
	}
	g.broker, err = broker.New(broker.Options{
		Config: c.Broker, Router: g.router, Identities: g.probeIdentity, TLS: g.server.TLSConfig(), Log: g.log,
		DB: g.sessionDB.DB, Handshakes: g.handshakes, MaxConns: shareDescriptors(c).broker, Memory: memoryLimit(),
		Believed: func() bool { _, _, believed := g.authority.Time(); return believed },
		Feeds: func(thing, filter string) bool {
			return thing == probeThing || g.current().table.CanFeed(message.DeviceEndpoint(thing), filter)
		},
	})
	if err != nil {
		return err
	}
	g.broker.Recheck(membersOf(c)) // devices may have left the file while nobody ran
	return portError(c, "broker.listen", g.broker.Listen())
}

func (g *gateway) openDiscovery(c *configs.Config) (err error) {
	if g.data, err = g.newDataPlane(dataplane.Limits{}); err != nil {
		return err
	}
	g.discovery, err = discovery.New(discovery.Options{
		Config: c.Discovery, Group: c.Group, CoreARN: coreARN(c), RootPEM: g.authority.RootPEM,
		MQTTPort: port(g.broker.Addrs()), TLS: g.server.TLSConfig(), Identities: g.identities,
		MQTT: g.broker.ServeConn, MQTTAddrs: g.broker.Addrs, Data: fromDevices(g.data), Handshakes: g.handshakes, MaxConns: shareDescriptors(c).discovery, Log: g.log,
	})
	if err != nil {
		return err
	}
	return portError(c, "discovery.listen", g.discovery.Listen())
}

func (g *gateway) openAdmin(c *configs.Config) error {
	g.expiry = g.newExpiry()
	g.audits = g.newAuditor(c.Data)
	g.writes = newWriteBudget(c.Data, processWrites, g.writtenBytes, time.Now, g.log)
	g.admin = admin.New(c.Socket(), g.log)
	g.serveAdmin()
	return g.admin.Listen()
}

// Run serves until ctx is cancelled or a part fails, then stops all in reverse
// order, so that whoever asks through the control socket is answered to the
// last.
func (g *gateway) Run(ctx context.Context) error {
	var all lifecycle.Group
	all.Add("write budget", g.writes) // it ends last, when all is written
	all.Add("control socket", g.admin)
	all.Add("shadow store", g.shadowDB)
	all.Add("shadows", g.shadows)
	all.Add("pins", g.pins)
	if g.uplink != nil {
		all.Add("spool store", g.uplink.db)
		all.Add("spool", g.uplink.spool)
		all.Add("shadow sync", g.uplink.sync)
		all.Add("cloud", g.uplink.link)
	}
	if g.left.db != nil {
		all.Add("spool store", g.left.db)
	}
	all.Add("function store", g.functions.db)
	all.Add("session store", g.sessionDB)
	all.Add("server certificate", g.server)
	all.Add("certificates", g.expiry)
	all.Add("broker", g.broker)
	all.Add("learn", g.learn)
	all.Add("discovery", g.discovery)
	if g.page != nil {
		all.Add("status page", g.page)
	}
	// They publish through all that stands above, and end before it.
	all.Add("functions", g.functions)
	if g.uplink != nil {
		all.Add("what the cloud sends", g.uplink)
	}
	all.Add("readiness", lifecycle.Func(func(context.Context) error {
		giveBackMemory()
		g.log.Info("greengate is ready", g.addresses()...)
		g.notify.isReady()
		return nil
	}))
	all.Add("audit log", g.audits)
	all.Add("heartbeat", g.newHeartbeat())
	all.Add("memory", newGiveBack())
	all.Add("back-off", g.backOff)
	defer context.AfterFunc(ctx, g.notify.stopping)()
	if err := all.Run(ctx); err != nil {
		return err
	}
	g.backOff.forget()
	g.log.Info("greengate has ended")
	return nil
}

// giveBackMemory returns to the system what reading the group file took: with
// 10,000 rows the parser leaves 25 MB of garbage behind, and a quiet gateway
// would hold it for ever (idle 49 MB with it, 24 MB without, `make bench`).
func giveBackMemory() { debug.FreeOSMemory() }

// close gives back the data folder and the pins, and what a gateway that never
// ran has opened.
func (g *gateway) close() {
	if g.discovery != nil {
		g.discovery.Close()
	}
	if g.page != nil {
		g.page.Close()
	}
	g.closeStores()
	g.pins.Close()
	if g.unlock != nil {
		g.unlock()
	}
}

// addresses are the attributes of the line that says that all is ready.
func (g *gateway) addresses() []any {
	return []any{"version", version(), "mqtt", join(g.broker.Addrs()), "discovery", join(g.discovery.Addrs())}
}

// gate lets the router ask a subscription table; see the probe.
type gate struct{ *subscriptions.Table }

func pkiDevices(c *configs.Config) []pki.Device {
	devices := make([]pki.Device, len(c.Devices))
	for i, d := range c.Devices {
		devices[i] = pki.Device{Thing: d.Thing, Fingerprint: d.Fingerprint()}
	}
	return devices
}

// coreARN names the core as AWS does. Without a cloud the region and the
// account are made up: devices compare the name at most with itself.
func coreARN(c *configs.Config) string {
	return "arn:aws:iot:" + region(c) + ":" + account + ":thing/" + c.Core
}

// account stands for the account of AWS, which a group file does not name.
const account = "000000000000"

// region is that of the cloud; without one a region that exists.
func region(c *configs.Config) string {
	const otherwise = "us-east-1"
	if c.Cloud == nil {
		return otherwise
	}
	return cmp.Or(awsRegion(c.Cloud.Endpoint), otherwise)
}

// port returns the port of the first address, or that of MQTT over TLS.
func port(addrs []net.Addr) int {
	if len(addrs) > 0 {
		if tcp, ok := addrs[0].(*net.TCPAddr); ok {
			return tcp.Port
		}
	}
	return 8883
}

func join(addrs []net.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, ",")
}

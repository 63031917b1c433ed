package conformance

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"greengate/core/broker"
	core "greengate/core/message"
	"greengate/core/pki"
	"greengate/core/router"
	"greengate/core/sqlite"
	"greengate/subscriptions"
)

// things is how many clients all tests together may have.
const things = 1500

// site is the gateway that all tests use.
var site struct {
	broker *broker.Broker
	router *router.Router
	addr   string
	roots  *x509.CertPool
	certs  []tls.Certificate
	next   atomic.Int64 // of certs
	topics atomic.Int64
}

func thingName(n int) string { return fmt.Sprintf("Thing%04dOf23Characters", n) }

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait more than they compute.
	_ = flag.Set("test.parallel", "32")
	dir, err := os.MkdirTemp("", "conformance")
	if err == nil {
		var code int
		if code, err = serve(dir, m.Run); err == nil {
			_ = os.RemoveAll(dir)
			os.Exit(code)
		}
		_ = os.RemoveAll(dir)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// serve runs the site around the tests.
func serve(dir string, tests func() int) (code int, err error) {
	log := slog.New(slog.DiscardHandler)
	authority, err := pki.Create(filepath.Join(dir, "pki"), pki.CreateOptions{Group: "conformance", Algorithm: pki.P256})
	if err != nil {
		return 0, err
	}
	identities, err := enrol(authority, log)
	if err != nil {
		return 0, err
	}
	server, err := authority.ServerCertificate([]string{"127.0.0.1"}, log)
	if err != nil {
		return 0, err
	}
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(dir, "sessions.db"), Migrations: broker.Migrations(), Log: log})
	if err != nil {
		return 0, err
	}
	site.router = router.New(log)
	table, err := subscriptions.Compile(rows, group())
	if err != nil {
		return 0, err
	}
	site.router.SetGate(gate{table})
	site.router.Register(core.Cloud, failing{})
	site.broker, err = broker.New(broker.Options{
		Config: broker.Config{Listen: []string{"127.0.0.1:0"}}, Router: site.router, Identities: identities, TLS: server.TLSConfig(),
		Log: log, DB: db,
	})
	if err != nil {
		return 0, err
	}
	if err := site.broker.Listen(); err != nil {
		return 0, err
	}
	site.addr = site.broker.Addrs()[0].String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	dbCtx, closeDB := context.WithCancel(context.Background())
	go func() { ended <- db.Run(dbCtx) }()
	go func() { ended <- site.broker.Run(ctx) }()
	code = tests()
	cancel()
	err = <-ended
	closeDB()
	return code, errorsOf(err, <-ended)
}

func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// enrol makes the certificates of all things. They have one key and stand in the group
// by their fingerprints, which costs no disk.
func enrol(a *pki.Authority, log *slog.Logger) (*pki.Identities, error) {
	site.roots = x509.NewCertPool()
	site.roots.AppendCertsFromPEM(a.RootPEM())
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	site.certs = make([]tls.Certificate, things)
	devices := make([]pki.Device, things)
	for i := range site.certs {
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			return nil, err
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			return nil, err
		}
		site.certs[i] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: c}
		devices[i] = pki.Device{Thing: thingName(i), Fingerprint: pki.Fingerprint(c)}
	}
	return a.Identities(devices, log)
}

// rows let everything pass between devices, but topics that begin with $: of those only
// $open/.
var rows = []subscriptions.Row{
	{From: subscriptions.Ends{"device:*"}, Topic: "#", To: subscriptions.Ends{"device:*"}},
	{From: subscriptions.Ends{"device:*"}, Topic: "$open/#", To: subscriptions.Ends{"device:*"}},
	{From: subscriptions.Ends{"device:*"}, Topic: "full/#", To: subscriptions.Ends{"cloud"}},
}

func group() subscriptions.Site {
	s := subscriptions.Site{Core: "Core"}
	for i := range things {
		s.Devices = append(s.Devices, subscriptions.Device{Thing: thingName(i)})
	}
	return s
}

// gate is the table as the router asks it.
type gate struct{ *subscriptions.Table }

func (g gate) Lookup(from core.Endpoint, topic string) router.Passage {
	if m := g.Table.Lookup(from, topic); m != nil {
		return m
	}
	return nil
}

// failing is a target that can take nothing.
type failing struct{}

func (failing) Deliver(d *router.Delivery, _ *router.Hop) (router.Verdict, router.Reason) {
	d.Hold().Fail()
	return router.Dropped, "full"
}

// newTopic returns a topic that no other test uses.
func newTopic() string { return fmt.Sprintf("t%d", site.topics.Add(1)) }

// dial opens a connection of a thing; -1: of one that no other test uses.
func dial(t *testing.T, thing int) *client {
	t.Helper()
	if thing < 0 {
		if thing = int(site.next.Add(1)) - 1; thing >= things {
			t.Fatalf("more than %d clients: raise things", things)
		}
	}
	tc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", site.addr,
		&tls.Config{RootCAs: site.roots, ServerName: "127.0.0.1", Certificates: site.certs[thing : thing+1]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tc.Close() })
	return newClient(t, tc, thing)
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// session returns what the broker has of a thing.
func session(name string) (d broker.Device, ok bool) {
	all := site.broker.Devices()
	i := slices.IndexFunc(all, func(d broker.Device) bool { return d.Thing == name })
	if i < 0 {
		return d, false
	}
	return all[i], true
}

// gone closes the network connection without a DISCONNECT and waits until the broker
// knows.
func (c *client) gone() {
	c.t.Helper()
	_ = c.conn.Close()
	c.away()
}

func (c *client) away() {
	c.t.Helper()
	until(c.t, "the client is away", func() bool { d, ok := session(c.name); return !ok || !d.Connected })
}

// pass waits until seconds have passed by the clock of the broker: until a session with
// that expiry is over.
func pass(t *testing.T, seconds int) {
	t.Helper()
	c := join(t, true, connect{props: expiry(seconds)})
	c.gone()
	until(t, "time has passed", func() bool { _, ok := session(c.name); return !ok })
}

package broker_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greengate/core/broker"
	"greengate/core/router"
	"greengate/core/sqlite"
)

// victim, in the environment, is the folder of a broker that this test program then
// runs until it is killed, instead of its tests. Beside it stand the table of its
// start, and the step at which it ends itself.
const victim = "GREENGATE_BROKER_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victim); dir != "" {
		fmt.Fprintln(os.Stderr, serveUntilKilled(dir, os.Getenv(victim+"_TABLE"), os.Getenv(victim+"_STEP")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// tables are those of a victim: the group file before and after a reload.
var tables = map[string]rows{
	"wide":   everything,
	"narrow": {{"*", "q/#", "*"}, {"*", "kept/#", "*"}, {"*", "later/#", "*"}, {"*", "end/#", "*"}},
}

// fuse ends the process when a step is reached for the n-th time.
type fuse struct {
	mu   sync.Mutex
	step string
	left int
}

// set takes "STEP N"; an empty text: no step.
func (f *fuse) set(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = 0
	_, _ = fmt.Sscan(text, &f.step, &f.left)
}

func (f *fuse) reached(step string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 || step != f.step {
		return
	}
	if f.left--; f.left == 0 {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // nothing happens after the step
	}
}

// serveUntilKilled runs a broker on the database of a folder, says where it listens,
// and does what it is told line by line.
func serveUntilKilled(dir, table, step string) error {
	var f fuse
	f.set(step)
	broker.OnFailpoint(f.reached)
	ca, err := readAuthority(dir)
	if err != nil {
		return err
	}
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(dir, "sessions.db"), Migrations: broker.Migrations()})
	if err != nil {
		return err
	}
	r, b := build(ca, tables[table], func(o *broker.Options) { o.DB = db })
	if err := b.Listen(); err != nil {
		return err
	}
	ctx := context.Background()
	go func() { _ = db.Run(ctx) }()
	go func() { _ = b.Run(ctx) }()
	fmt.Println(b.Addrs()[0])
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		order, rest, _ := strings.Cut(orders.Text(), " ")
		switch order {
		case "arm":
			f.set(rest)
		case "table":
			r.SetGate(tables[rest])
			b.Recheck(func(string) bool { return true })
		case "away":
			tick := time.NewTicker(time.Millisecond)
			for slices.ContainsFunc(b.Devices(), func(d broker.Device) bool { return d.Thing == rest && d.Connected }) {
				<-tick.C
			}
			tick.Stop()
		}
		fmt.Println(balance(r))
	}
	return orders.Err()
}

// balance is what waits, by the ledger.
func balance(r *router.Router) string {
	n := r.Ledger()
	if n.Accepted != n.Delivered+n.Refused+n.Expired+n.Dropped+n.Waiting {
		return fmt.Sprintf("the ledger does not balance: %+v", n)
	}
	return fmt.Sprint(n.Waiting)
}

// writeAuthority and readAuthority take the test's authority to a victim.
func writeAuthority(a *authority, dir string) error {
	key, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.key"), key, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "ca.cert"), a.cert.Raw, 0o600)
}

func readAuthority(dir string) (*authority, error) {
	a := &authority{removed: map[string]bool{}, certs: map[string]tls.Certificate{}}
	key, err := os.ReadFile(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	if a.key, err = x509.ParseECPrivateKey(key); err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(filepath.Join(dir, "ca.cert"))
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(cert)
	return a, err
}

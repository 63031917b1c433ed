package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/core/pki"
)

var (
	proofProbes = flag.Int("probes", 10_000, "how many messages TestGateProof tries")
	proofSeed   = flag.Uint64("seed", 0, "the one world that TestGateProof tries; 0: the first ones")
)

// probesOfWorld is how many messages are tried in one world, on one gateway.
const probesOfWorld = 2000

// TestGateProof holds the whole gateway against an oracle of its group file: in random
// worlds, what arrives by whatever door, at devices, functions, pins and the cloud, must be
// what the rows say, no more and no less, whatever is reloaded meanwhile. A fault tells the
// seed of its world; -seed replays that one.
func TestGateProof(t *testing.T) {
	dir := t.TempDir()
	bootstrap := filepath.Join(dir, "bootstrap")
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", bootstrap, "./testdata/functions/trial")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	things := proofCredentials(t)
	began := time.Now()
	var mu sync.Mutex
	probes, got, granted := 0, 0, 0
	t.Run("worlds", func(worlds *testing.T) {
		for seed, left := max(*proofSeed, 1), *proofProbes; left > 0; seed, left = seed+1, left-probesOfWorld {
			worlds.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
				t.Parallel() // a world waits more than it works
				if worlds.Failed() {
					t.Skip("another world has failed")
				}
				p := newProof(t, seed, dir, things)
				p.run(min(probesOfWorld, left))
				mu.Lock()
				defer mu.Unlock()
				probes, got, granted = probes+p.tried, got+p.got, granted+p.granted
			})
			if *proofSeed != 0 {
				break
			}
		}
	})
	t.Logf("%d probes in %v, of which a row lets %d in; %d messages arrived", probes, time.Since(began).Round(time.Second), granted, got)
	if *proofSeed == 0 && !t.Failed() && (granted < probes/3 || got < probes/3) {
		t.Error("too little passes the gate to prove much")
	}
}

// proofCredentials makes the certificates of all things.
func proofCredentials(t *testing.T) map[string]tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]tls.Certificate{}
	for i, thing := range proofThings {
		c := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1)), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}
		der, err := x509.CreateCertificate(crand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		all[thing] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: c}
	}
	return all
}

// proof is one world: a gateway, its clients, and what the oracle knows of them.
type proof struct {
	proofDice
	t         *testing.T
	seed      uint64
	functions string
	file      string
	bell      string // the topic of the button
	prints    map[string]string
	roots     *x509.CertPool
	web       map[string]*http.Client
	g         *gateway
	sky       *proofSky
	slow      bool // so is the function

	table    *proofTable
	clients  map[string]*proofClient
	order    []*proofClient // the same, in the order of proofThings
	retained map[string]*proofProbe
	owed     map[proofKey]proofDebt
	probes   map[int]*proofProbe
	tried    int // probes
	granted  int // probes that some row lets in
	marks    int
	story    []string // the last that was done

	mu   sync.Mutex
	seen map[proofKey]int  // since the last check
	had  map[proofKey]bool // ever
	kept map[proofKey]int  // retained messages that a SUBSCRIBE has brought
	rung int               // the probe that is the button's
	got  int               // messages that arrived

	wills map[int]*proofProbe
	out   map[int]bool // wills that were published, until somebody has looked at them
	going map[int]bool // wills that are to be

	doubt     *proofProbe // a will that may go from a time on, or not
	doubtFrom time.Time
}

func newProof(t *testing.T, seed uint64, functions string, things map[string]tls.Certificate) *proof {
	p := &proof{
		proofDice: proofDice{rand.New(rand.NewPCG(seed, 12))}, t: t, seed: seed, functions: functions,
		file: filepath.Join(t.TempDir(), groupFile), prints: map[string]string{}, web: map[string]*http.Client{},
		clients: map[string]*proofClient{}, retained: map[string]*proofProbe{}, owed: map[proofKey]proofDebt{}, probes: map[int]*proofProbe{},
		seen: map[proofKey]int{}, had: map[proofKey]bool{}, kept: map[proofKey]int{},
		wills: map[int]*proofProbe{}, out: map[int]bool{}, going: map[int]bool{},
	}
	for _, thing := range proofThings {
		c := &proofClient{thing: thing, pair: things[thing]}
		p.clients[thing], p.order = c, append(p.order, c)
		p.prints[thing] = "sha256:" + pki.Fingerprint(c.pair.Leaf)
	}
	p.table = p.proofDice.table(p.prints, []string{proofWitness})
	_, p.bell = p.way(p.table, []string{proofBell})
	p.open()
	t.Cleanup(func() { _ = os.Remove(p.held("slow")) }) // or the end would wait for its call
	return p
}

// open runs the gateway until the test ends.
func (p *proof) open() {
	t := p.t
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out}
	if code := a.main(t.Context(), []string{"init", filepath.Dir(p.file), "--core", "c_Core", "--key", "p-256"}); code != exitDone {
		t.Fatal(&out)
	}
	a.config = p.file
	p.writeFile(p.table)
	c, err := a.load()
	if err != nil {
		t.Fatalf("seed %d: %v", p.seed, err)
	}
	if p.g, err = openGateway(t.Context(), c, slog.New(slog.DiscardHandler), new(slog.LevelVar)); err != nil {
		t.Fatal(err)
	}
	p.openSky()
	t.Cleanup(p.g.router.Watch(p.watched))
	p.roots = x509.NewCertPool()
	p.roots.AppendCertsFromPEM(p.g.authority.RootPEM())
	for _, c := range p.order {
		transport := &http.Transport{TLSClientConfig: p.tls(c)}
		t.Cleanup(transport.CloseIdleConnections)
		p.web[c.thing] = &http.Client{Transport: transport}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.g.Run(ctx) }()
	t.Cleanup(func() {
		for _, c := range p.order {
			if c.proofConn != nil {
				_ = c.conn.Close()
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		p.g.close()
	})
}

func (p *proof) tls(c *proofClient) *tls.Config {
	return &tls.Config{RootCAs: p.roots, ServerName: "localhost", Certificates: []tls.Certificate{c.pair}}
}

func (p *proof) writeFile(t *proofTable) {
	if err := os.WriteFile(p.file, proofFile(t, p.functions, p.held(""), p.bell), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// heard notes what an end has got.
func (p *proof) heard(to, topic string, payload []byte, again bool) {
	id := proofToken(payload)
	p.mu.Lock()
	defer p.mu.Unlock()
	if bytes.Contains(payload, []byte(`"name":"bell"`)) {
		if id = p.rung; bytes.Contains(payload, []byte(`"event":"release"`)) {
			id++
		}
	}
	if name, ok := strings.CutPrefix(topic, proofAnswer); ok {
		to = "function:" + name
		topic, _, _ = strings.Cut(string(payload), "\n")
	}
	k := proofKey{id, to, topic}
	if id == 0 || again && p.had[k] {
		return
	}
	p.seen[k]++
	p.had[k] = true
}

// fault ends the world: it tells all that is needed to see it again.
func (p *proof) fault(kind string, probe *proofProbe, text string) {
	p.t.Helper()
	if probe != nil && probe == p.doubt && time.Now().After(p.doubtFrom) {
		p.t.Skip("the machine is too slow to say of a will whether its client was back in time")
	}
	p.t.Fatalf("%s in the world of seed %d (replay: go test ./cmd/greengate -run TestGateProof -seed %d -probes %d)\n%v\n  %s\nwhat was done last:\n  %s\nthe table:\n  %v\nfaults of functions: %v",
		kind, p.seed, p.seed, probesOfWorld, probe, text, strings.Join(p.story, "\n  "), p.table, p.g.functions.manager.Faults())
}

// tell keeps what was done, for a fault.
func (p *proof) tell(format string, args ...any) {
	if p.story = append(p.story, fmt.Sprintf(format, args...)); len(p.story) > 30 {
		p.story = p.story[1:]
	}
}

// must ends the world when something does not work at all.
func (p *proof) must(err error) {
	p.t.Helper()
	if err != nil {
		p.fault("FAILURE", nil, err.Error())
	}
}

// run tries so many messages.
func (p *proof) run(probes int) {
	for _, c := range p.order {
		if p.table.device(c.end()) != nil {
			p.arrive(c, p.anyManner(c))
		}
	}
	for p.tried < probes {
		p.toggle()
		p.batch(min(100, probes-p.tried), nil)
		for range 2 {
			p.comeAndGo()
			p.subscribe(p.anyone(), p.filter(false))
		}
		p.dim()
		p.readRetained()
		switch p.IntN(4) {
		case 0:
			p.reload(p.proofDice.table(p.prints, []string{proofWitness}))
		case 1:
			p.reload(p.altered(p.table, p.prints, []string{proofWitness}))
		case 2:
			p.batch(min(100, max(1, probes-p.tried)), p.altered(p.table, p.prints, p.here()))
		}
		if p.one(8) {
			p.ring()
		}
		if p.one(8) {
			p.takenOver()
		}
		if p.one(8) && !p.nearlyDead() {
			return
		}
		if p.one(3) {
			p.balance()
		}
	}
	if p.seed%5 == 1 {
		p.die()
	}
	p.balance()
}

package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// Abuse by clients that have a certificate: too many of them, and who pretends.

// crowd are devices with one key and a certificate of their own each, which the group
// file knows by its fingerprint.
func (s *site) crowd(n int) (things []string, certs []tls.Certificate) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(s.file)
	if err != nil {
		s.t.Fatal(err)
	}
	var file struct{ Devices []map[string]any }
	if err := yaml.Unmarshal(text, &file); err != nil {
		s.t.Fatal(err)
	}
	for i := range n {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: "whatever"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			s.t.Fatal(err)
		}
		thing, sum := fmt.Sprintf("crowd-%d", i), sha256.Sum256(der)
		file.Devices = append(file.Devices, map[string]any{"thing": thing, "certificate": "sha256:" + hex.EncodeToString(sum[:])})
		things, certs = append(things, thing), append(certs, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	}
	s.set(file.Devices, "devices")
	return things, certs
}

// TestAbuseReconnects: all devices of a large site come back at once, from few addresses,
// and once more over those that are there. Each gets in, in the end.
func TestAbuseReconnects(t *testing.T) {
	t.Parallel()
	n := many(1000, 5000)
	moreFiles(t, uint64(3*n+1000))
	s := newSiteWith(t, []string{"--key", "p-256"}, "honest", "friend", "honest2")
	things, certs := s.crowd(n)
	g := s.besiege()
	config := s.tls(certs[0])
	config.MinVersion = tls.VersionTLS13
	for range 2 { // the second time takes the sessions over
		var all sync.WaitGroup
		failed := make(chan error, n)
		for i := range n {
			all.Go(func() {
				own := config.Clone()
				own.Certificates = certs[i : i+1]
				failed <- g.comes(own, i, things[i])
			})
		}
		g.newcomer("reconnects")
		all.Wait()
		for range n {
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		}
	}
	// A connection that is up holds 10 KiB or so, and its handshake three times that.
	// The log takes 500 lines of a kind at once, and then one a second.
	g.withstood(mostGrowth+n*48, 1300)
}

// comes connects one of the crowd, again and again while it is turned away: what is full
// closes the door without a word. The connection stays open until the test ends.
func (g *siege) comes(config *tls.Config, i int, thing string) error {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 3, 0, byte(1+i%8))}, Timeout: patience}
	limit := time.Now().Add(3 * patience)
	for {
		conn, err := tls.DialWithDialer(dialer, "tcp", g.broker, config)
		if err == nil {
			answer := make([]byte, 4)
			_ = conn.SetDeadline(limit)
			_, _ = conn.Write(rawConnect(4, thing))
			if _, err = io.ReadFull(conn, answer); err == nil {
				g.t.Cleanup(func() { _ = conn.Close() })
				if answer[0] != 0x20 || answer[3] != 0 {
					return fmt.Errorf("%s is answered % x", thing, answer)
				}
				return nil
			}
			_ = conn.Close()
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s did not get in: %w", thing, err)
		}
	}
}

// TestAbuseGuessedClientIDs: a device that tries the names of others, and names that
// are none, is told no each time, and those that bear the names keep their sessions.
func TestAbuseGuessedClientIDs(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"thief", "honest2"})
	thief := g.identity("thief")
	guesses := []string{"honest", "friend", "honest2", "Honest", "honest ", "../honest", "thief/#", "+", "#",
		"", "honest#1", "thief#1", strings.Repeat("h", 65_535), "x'; DROP TABLE sessions; --", "inline", "$SYS"}
	n := many(120, 3000)
	for i := range n {
		id, level := fmt.Sprint("thing-", i), byte(4+i%2)
		if i < 2*len(guesses) {
			id = guesses[i/2]
		}
		conn, answer := g.says(thief, rawConnect(level, id), false)
		if _ = conn.Close(); len(answer) < 4 || answer[0] != 0x20 || answer[3] != map[byte]byte{4: 2, 5: 0x85}[level] {
			t.Fatalf("the thief is answered % x as %.40q", answer, id)
		}
	}
	if !g.connected("honest") || !g.connected("friend") {
		t.Error("a guess has cost somebody the connection")
	}
	g.newcomer("guesses")
	g.counted("client-id", n)
	g.withstood(mostGrowth, mostLines)
}

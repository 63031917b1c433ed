package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/core/sqlite"
	"greengate/sync/cloud"
)

// checkPorts asks a running daemon's listeners to prove themselves, or tries whether the
// ports are free.
func (d *doctor) checkPorts() {
	if d.status != nil {
		for _, l := range d.status.Listeners {
			d.knock(l)
		}
		return
	}
	if inUse(d.config.Data) {
		return // a daemon that does not answer, which is told, has them
	}
	d.tryPorts("broker.listen", d.config.Broker.Listen)
	d.tryPorts("discovery.listen", d.config.Discovery.Listen)
	if page := d.config.Admin.Listen; page != "" {
		d.tryPorts("admin.listen", []string{page})
	}
}

func (d *doctor) tryPorts(key string, addrs []string) {
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			d.wrong("ports", portHint(err)+" in "+key, "%s is in use by another program", addr)
		case errors.Is(err, syscall.EACCES):
			d.note("ports", portHint(err), "%s is not for this user to open", addr)
		case err != nil:
			d.wrong("ports", portHint(err)+" in "+key, "%s: %v", addr, err)
		default:
			_ = l.Close()
			d.well("ports", "%s is free", addr)
		}
	}
}

// knock has a listener of the running daemon prove itself: the status page by its health,
// the others by their certificate.
func (d *doctor) knock(l client.Address) {
	const next = "journalctl -u greengate tells more; systemctl restart greengate"
	addr, err := net.ResolveTCPAddr("tcp", l.Address)
	if err != nil {
		d.wrong("ports", next, "%s: %v", l.Address, err)
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(d.config.PKI.Dir, "root-ca.pem")); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	begun := time.Now()
	if l.Scheme != "" {
		err = askHealth(ctx, l.Scheme+"://"+loopback(addr)+"/healthz", roots)
	} else {
		err = showCertificate(ctx, loopback(addr), roots)
	}
	if err != nil {
		d.wrong("ports", next, "%s on %s does not answer: %v", l.Service, l.Address, err)
		return
	}
	d.well("ports", "%s answers on %s, in %s", l.Service, l.Address, time.Since(begun).Round(time.Millisecond))
}

// errShown ends a handshake in which all was seen.
var errShown = errors.New("the listener has proven who it is")

// showCertificate has a listener do its part of a TLS handshake, and goes before the other
// one: without the certificate of a device it would be turned away, and counted.
func showCertificate(ctx context.Context, addr string, roots *x509.CertPool) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(addr)
	config := &tls.Config{
		RootCAs: roots, ServerName: host,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			_ = conn.Close() // so that TLS has nothing to say any more
			return nil, errShown
		},
	}
	if err = tls.Client(conn, config).HandshakeContext(ctx); errors.Is(err, errShown) {
		return nil
	}
	return err
}

// askHealth asks the status page how it is.
func askHealth(ctx context.Context, url string, roots *x509.CertPool) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var health admin.Health
	if err := json.NewDecoder(answer.Body).Decode(&health); err != nil {
		return fmt.Errorf("%s: %w", answer.Status, err)
	}
	for _, p := range health.Parts {
		if !p.OK && p.Needed {
			return fmt.Errorf("%s: %s", p.Name, p.Problem)
		}
	}
	return nil
}

// checkCloud goes the way of the link, step by step: name, connection, TLS.
func (d *doctor) checkCloud() {
	c := d.config.Cloud
	if c == nil {
		d.well("cloud", "not configured; the site is complete without")
		return
	}
	if c.Proxy != "" {
		d.note("cloud", "", "%s is reached by the proxy %s, which doctor does not try", c.Endpoint, c.Proxy)
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, 15*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, c.Endpoint)
	if err != nil {
		d.wrong("cloud", "is there a network? `ip route`, `resolvectl query "+c.Endpoint+"`; until then messages wait in the spool", "the name of the endpoint is not found: %v", err)
		return
	}
	begun := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(addrs[0], strconv.Itoa(c.Port)))
	if err != nil {
		d.wrong("cloud", fmt.Sprintf("does a firewall stop port %d? `cloud.port: 443` is let through by most", c.Port), "%s does not answer: %v", c.Endpoint, err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	latency := time.Since(begun)
	if d.pair == nil {
		return // told with the certificates
	}
	config, err := cloudTLS(c, d.pair)
	if err != nil {
		d.wrong("cloud", "mend cloud.ca in the group file", "%v", err)
		return
	}
	t := tls.Client(conn, config)
	if err = t.HandshakeContext(ctx); err == nil {
		// A certificate that the cloud does not want ends a connection of TLS 1.3
		// after the handshake: wait for that for a moment.
		_ = t.SetReadDeadline(time.Now().Add(max(4*latency, 500*time.Millisecond)))
		if _, err = t.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
	}
	if err != nil {
		d.wrong("cloud", "is the certificate of the core active in AWS IoT, and the endpoint that of its account? `cloud.ca` must be Amazon Root CA 1", "%s does not take the connection: %v", c.Endpoint, err)
		return
	}
	d.well("cloud", "%s answers in %s, TLS in %s", c.Endpoint, latency.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
}

func cloudTLS(c *cloud.Config, pair *tls.Certificate) (*tls.Config, error) {
	var roots *x509.CertPool // nil: those of the system
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
	}
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{*pair}, ServerName: c.Endpoint, MinVersion: tls.VersionTLS12}
	if c.Port == 443 {
		config.NextProtos = []string{"x-amzn-mqtt-ca"}
	}
	return config, nil
}

// checkStores looks at the databases of a daemon that does not run; one that does
// tells of its own among its faults. It works on copies: to open a database is to
// change it.
func (d *doctor) checkStores() {
	if d.status != nil || inUse(d.config.Data) {
		return
	}
	files, _ := filesIn(d.config.Data, "*.db")
	for _, file := range files {
		name := filepath.Base(file)
		if err := checkCopy(d.ctx, file); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				d.note("databases", asRoot, "%s is not for this user to read", name)
				continue
			}
			d.wrong("databases", "the daemon restores it at its next start, from the copy beside it", "%s: %s", name, strings.TrimSpace(err.Error()))
			continue
		}
		d.well("databases", "%s is sound", name)
	}
}

func checkCopy(ctx context.Context, file string) error {
	dir, err := os.MkdirTemp("", "greengate-doctor-")
	if err != nil {
		return fmt.Errorf("make a folder for the copy: %w", err)
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, filepath.Base(file))
	for _, ending := range []string{"", "-wal"} {
		err := copyFile(copied+ending, file+ending)
		if err != nil && (ending == "" || !errors.Is(err, os.ErrNotExist)) {
			return err
		}
	}
	db, err := sqlite.Open(sqlite.Options{File: copied, CheckLimit: 1, Migrations: schemas[filepath.Base(file)].migrations})
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), copied, filepath.Base(file)))
	}
	return errors.Join(db.Check(ctx), db.Close())
}

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"greengate/core/pki"
	"greengate/core/sqlite"
	"greengate/core/token"
	"greengate/sync/cloud"
)

// checkPorts asks a running daemon's listeners for their certificate, or tries
// whether the ports are free.
func (d *doctor) checkPorts() {
	if d.status != nil {
		for _, l := range d.status.Listeners {
			d.knock(l.Service, l.Address)
		}
		return
	}
	for _, addr := range slices.Concat(d.config.Broker.Listen, d.config.Discovery.Listen) {
		l, err := net.Listen("tcp", addr)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			d.wrong("ports", "`ss -ltnp` tells who has it", "%s is in use by another program", addr)
		case errors.Is(err, syscall.EACCES):
			d.note("ports", "the service has the right (AmbientCapabilities=CAP_NET_BIND_SERVICE); by hand: setcap cap_net_bind_service=+ep on the program",
				"%s is not for this user to open", addr)
		case err != nil:
			d.wrong("ports", "mend the address in the group file", "%s: %v", addr, err)
		default:
			_ = l.Close()
			d.well("ports", "%s is free", addr)
		}
	}
}

// knock does a TLS handshake with a listener of the running daemon.
func (d *doctor) knock(service, address string) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		d.wrong("ports", "", "%s: %v", address, err)
		return
	}
	ctx, cancel := context.WithTimeout(d.ctx, 10*time.Second)
	defer cancel()
	roots := x509.NewCertPool()
	if pem, err := os.ReadFile(filepath.Join(d.config.PKI.Dir, "root-ca.pem")); err == nil {
		roots.AppendCertsFromPEM(pem)
	}
	host, _, _ := net.SplitHostPort(loopback(addr))
	begun := time.Now()
	// Without a client certificate the handshake of TLS 1.3 ends well on this side;
	// the daemon refuses it then, and its log has a line of that.
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host}}
	conn, err := dialer.DialContext(ctx, "tcp", loopback(addr))
	if err != nil {
		d.wrong("ports", "journalctl -u greengate tells more; systemctl restart greengate", "%s on %s does not answer: %v", service, address, err)
		return
	}
	_ = conn.Close()
	d.well("ports", "%s answers on %s, in %s", service, address, time.Since(begun).Round(time.Millisecond))
}

// checkCertificates looks at the files. Device certificates of this CA have no end.
func (d *doctor) checkCertificates() {
	authority, err := pki.Open(d.config.PKI.Dir, pki.Clock{})
	if err != nil {
		d.wrong("certificates", "", "%v", err)
		return
	}
	now, _, believed := authority.Time()
	ends, err := certificateEnds(d.config)
	if err != nil {
		d.wrong("certificates", "", "%v", err)
	}
	for _, e := range ends {
		left := e.end.Sub(now)
		switch {
		case !believed:
			d.note("certificates", "", "%s ends on %s; the clock is not believed", e.what, e.end.Format(time.DateOnly))
		case left <= 0:
			d.wrong("certificates", e.next, "%s ended on %s", e.what, e.end.Format(time.DateOnly))
		case left <= alarmFrom:
			d.wrong("certificates", e.next, "%s ends on %s, in %s", e.what, e.end.Format(time.DateOnly), counted(days(left), "day"))
		default:
			d.well("certificates", "%s ends on %s", e.what, e.end.Format(time.DateOnly))
		}
	}
	if c := d.config.Cloud; c != nil {
		if d.pair, err = corePair(d.ctx, d.config); err != nil {
			next := "get certificate and key of the core together from AWS IoT"
			if wrong := (*token.Error)(nil); errors.As(err, &wrong) {
				next = wrong.Hint
				err = errors.New(wrong.Problem)
			}
			d.pair = nil
			d.wrong("certificates", next, "certificate and key of the core: %v", err)
		}
	}
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
		d.wrong("cloud", "", "%v", err)
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
	files, _ := filepath.Glob(filepath.Join(d.config.Data, "*.db"))
	for _, file := range files {
		name := filepath.Base(file)
		if err := checkCopy(d.ctx, file); err != nil {
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

package main_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// The clients of the end-to-end tests: programs that print lines, and paho.

// lineReader is a program whose output is read line by line.
type lineReader struct {
	t     *testing.T
	name  string
	lines chan string // closed at the end of the output
	all   *buffer     // what it printed, for the failure message
	ended chan error  // receives the result of the process once
	kill  func()      // ends it at once, as a power cut does
}

// launch starts a program that ends with the test at the latest.
func launch(t *testing.T, name string, args ...string) *lineReader {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v (`make test` installs the real clients)", err)
	}
	cmd := exec.Command(path, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r := &lineReader{t: t, name: filepath.Base(name), lines: make(chan string, 4096), all: new(buffer), ended: make(chan error, 1)}
	cmd.Stderr = r.all
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	r.kill = func() { _ = cmd.Process.Kill() }
	go func() {
		defer close(stopped)
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			fmt.Fprintln(r.all, scan.Text())
			r.lines <- scan.Text()
		}
		close(r.lines)
		r.ended <- cmd.Wait()
	}()
	t.Cleanup(func() {
		r.kill()
		<-stopped
		if t.Failed() {
			t.Logf("%s printed:\n%s", r.name, r.all)
		}
	})
	return r
}

// until skips lines up to the first that begins with prefix, and returns what
// follows the prefix.
func (r *lineReader) until(prefix string) string {
	r.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case line, more := <-r.lines:
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
			if !more {
				r.t.Fatalf("%s ended without a line %q...", r.name, prefix)
			}
		case <-limit:
			r.t.Fatalf("%s printed no line %q... within %v", r.name, prefix, patience)
		}
	}
}

// end waits until the program has ended by itself, and well.
func (r *lineReader) end() {
	r.t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			r.t.Fatalf("%s: %v", r.name, err)
		}
	case <-time.After(patience):
		r.t.Fatalf("%s did not end within %v", r.name, patience)
	}
}

// identity is what a client shows: a certificate and its key.
func (s *site) identity(thing string) tls.Certificate {
	s.t.Helper()
	cert, err := tls.LoadX509KeyPair(filepath.Join(s.folder(thing), thing+".cert.pem"), filepath.Join(s.folder(thing), thing+".private.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	return cert
}

// tls is the configuration of a client that trusts the group's CA only.
func (s *site) tls(cert tls.Certificate) *tls.Config {
	s.t.Helper()
	pem, err := os.ReadFile(filepath.Join(s.dir, "pki", "root-ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		s.t.Fatal("root-ca.pem holds no certificate")
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}}
}

// open opens a TCP connection from where the clients of the site are.
func (s *site) open(address string) (net.Conn, error) {
	dial := func() (net.Conn, error) { return net.DialTimeout("tcp", address, patience) }
	if s.in != nil {
		return s.in.dial(dial)
	}
	return dial()
}

// link opens a TLS connection to the broker.
func (s *site) link(cert tls.Certificate) *tls.Conn {
	s.t.Helper()
	conn, err := s.secure(s.broker, s.tls(cert))
	if err != nil {
		s.t.Fatalf("connect to the broker: %v", err)
	}
	return conn
}

// secure opens a TLS connection that ends with the test.
func (s *site) secure(address string, config *tls.Config) (*tls.Conn, error) {
	raw, err := s.open(address)
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { _ = raw.Close() })
	config.ServerName, _, _ = net.SplitHostPort(address)
	conn := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return conn, conn.HandshakeContext(ctx)
}

// device is a paho client that has connected.
type device struct {
	*paho.Client
	t       *testing.T
	thing   string
	conn    net.Conn
	connack *paho.Connack
	heard   chan *paho.Publish
	gone    chan byte // receives the reason code of the broker's DISCONNECT, or 0 when it just closed
}

// connect connects thing with its own certificate, MQTT 5, clean start.
func (s *site) connect(thing string, options ...func(*paho.Connect)) *device {
	s.t.Helper()
	d, err := s.dial(s.identity(thing), thing, options...)
	if err != nil {
		s.t.Fatalf("connect %s: %v", thing, err)
	}
	return d
}

// dial connects with any certificate and client id. When the broker answers
// with a refusal, the device has its connack all the same.
func (s *site) dial(cert tls.Certificate, id string, options ...func(*paho.Connect)) (*device, error) {
	s.t.Helper()
	d := &device{t: s.t, thing: id, conn: s.link(cert), heard: make(chan *paho.Publish, 1<<16), gone: make(chan byte, 1)}
	leave := func(code byte) {
		select {
		case d.gone <- code:
		default:
		}
	}
	d.Client = paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(d.conn), ClientID: id,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			d.heard <- p.Packet
			return true, nil
		}},
		OnServerDisconnect: func(p *paho.Disconnect) { leave(p.ReasonCode) },
		OnClientError:      func(error) { leave(0) },
	})
	connect := &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60}
	for _, option := range options {
		option(connect)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var err error
	d.connack, err = d.Connect(ctx, connect)
	return d, err
}

// refusal is the reason code with which the broker refuses that client.
func (s *site) refusal(cert tls.Certificate, id string) byte {
	s.t.Helper()
	d, err := s.dial(cert, id)
	switch {
	case err == nil:
		s.t.Fatalf("client id %q is connected, want a refusal", id)
	case d.connack == nil:
		s.t.Fatalf("client id %q: no CONNACK but %v", id, err)
	}
	return d.connack.ReasonCode
}

// subscribe subscribes at QoS 1 and returns the reason code.
func (d *device) subscribe(filter string, options ...func(*paho.SubscribeOptions)) byte {
	d.t.Helper()
	wish := paho.SubscribeOptions{Topic: filter, QoS: 1}
	for _, option := range options {
		option(&wish)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	suback, err := d.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{wish}})
	if suback == nil || len(suback.Reasons) != 1 {
		d.t.Fatalf("%s subscribes to %s: %v", d.thing, filter, err)
	}
	return suback.Reasons[0]
}

// publish publishes at QoS 1 and returns the reason code of the PUBACK.
func (d *device) publish(topic, payload string, options ...func(*paho.Publish)) byte {
	d.t.Helper()
	message := &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: 1}
	for _, option := range options {
		option(message)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := d.Publish(ctx, message)
	if answer == nil {
		d.t.Fatalf("%s publishes to %s: %v", d.thing, topic, err)
	}
	return answer.ReasonCode
}

func retained(p *paho.Publish) { p.Retain = true }

// next is the next message that the device hears.
func (d *device) next() *paho.Publish {
	d.t.Helper()
	select {
	case p := <-d.heard:
		return p
	case <-time.After(patience):
		d.t.Fatalf("%s heard nothing within %v", d.thing, patience)
		return nil
	}
}

// hears fails the test unless the next message is this one. What was forbidden
// before it, on the same way, has thereby been seen not to come.
func (d *device) hears(topic, payload string) *paho.Publish {
	d.t.Helper()
	p := d.next()
	if p.Topic != topic || string(p.Payload) != payload {
		d.t.Fatalf("%s heard %s: %q, want %s: %q", d.thing, p.Topic, p.Payload, topic, payload)
	}
	return p
}

// cutOff waits until the broker ends the connection, and returns why.
func (d *device) cutOff() byte {
	d.t.Helper()
	select {
	case code := <-d.gone:
		return code
	case <-time.After(patience):
		d.t.Fatalf("%s is still connected after %v", d.thing, patience)
		return 0
	}
}

// leave disconnects in good order and waits for the connection's end.
func (d *device) leave() {
	d.t.Helper()
	if err := d.Disconnect(&paho.Disconnect{}); err != nil {
		d.t.Fatalf("disconnect %s: %v", d.thing, err)
	}
	<-d.Done()
}

// rawConnect is a CONNECT packet, clean, keep-alive 60, without a will.
func rawConnect(level byte, id string) []byte {
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', level, 2, 0, 60}
	if level == 5 {
		body = append(body, 0) // no properties
	}
	body = append(body, byte(len(id)>>8), byte(len(id)))
	return rawPacket(0x10, append(body, id...))
}

// rawPacket puts a fixed header before body.
func rawPacket(first byte, body []byte) []byte {
	packet := []byte{first}
	for n := len(body); ; {
		digit := byte(n & 0x7f)
		if n >>= 7; n > 0 {
			packet = append(packet, digit|0x80)
			continue
		}
		return append(append(packet, digit), body...)
	}
}

// rawString is a string as MQTT writes it.
func rawString(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

// exchange sends packet on conn and returns the next packet whole, or nothing
// when the broker closes the connection instead.
func exchange(t *testing.T, conn net.Conn, packet []byte) (first byte, body []byte) {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(patience))
	// A broker that has seen enough may close before it has read all.
	if _, err := conn.Write(packet); err != nil {
		return 0, nil
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(conn, head); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("no answer and no end of the connection within %v", patience)
		}
		return 0, nil
	}
	body = make([]byte, head[1])
	if _, err := io.ReadFull(conn, body); err != nil {
		t.Fatalf("read a packet of type %#x: %v", head[0], err)
	}
	return head[0], body
}

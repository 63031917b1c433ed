package main_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"testing"
	"time"
)

// discover asks with Go's HTTP client, and returns status and body.
func (s *site) discover(cert tls.Certificate, thing string) (int, string) {
	s.t.Helper()
	return s.get(cert, "/greengrass/discover/thing/"+thing)
}

func (s *site) get(cert tls.Certificate, path string) (int, string) {
	s.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: s.tls(cert), DisableKeepAlives: true,
		ForceAttemptHTTP2: true, // as a client that offers h2 beside http/1.1
		DialContext:       func(_ context.Context, _, address string) (net.Conn, error) { return s.open(address) },
	}}
	resp, err := client.Get("https://" + s.discovery + path)
	if err != nil {
		s.t.Fatalf("ask discovery: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("read the answer of discovery: %v", err)
	}
	return resp.StatusCode, string(body)
}

func TestDiscoveryAnswersAsGreengrass(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.start()
	code, body := s.discover(s.identity("sensor"), "sensor")
	if code != 200 {
		t.Fatalf("discovery: %d %s", code, body)
	}
	var answer struct {
		GGGroups []struct {
			GGGroupId string
			Cores     []struct {
				ThingArn     string `json:"thingArn"`
				Connectivity []struct {
					Id, HostAddress, Metadata string
					PortNumber                int
				}
			}
			CAs []string
		}
	}
	strict := json.NewDecoder(bytes.NewReader([]byte(body)))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	if len(answer.GGGroups) != 1 || len(answer.GGGroups[0].Cores) != 1 || len(answer.GGGroups[0].CAs) < 1 {
		t.Fatalf("want one group with one core and its CA, got %s", body)
	}
	group := answer.GGGroups[0]
	if group.GGGroupId != "e2e" {
		t.Errorf("group %q, want e2e", group.GGGroupId)
	}
	ways := group.Cores[0].Connectivity
	if len(ways) != 1 || net.JoinHostPort(ways[0].HostAddress, fmt.Sprint(ways[0].PortNumber)) != s.broker || ways[0].Id == "" {
		t.Errorf("connectivity %+v, want exactly the address that the request came in on, %s", ways, s.broker)
	}
	// The CA of the answer, and no other, is what a device needs for MQTT.
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(group.CAs[0]))
	conn, err := tls.Dial("tcp", s.broker, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{s.identity("sensor")}})
	if err != nil {
		t.Fatalf("connect with the CA of the answer: %v", err)
	}
	_ = conn.Close()
}

func TestDiscoveryErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor", "display")
	s.start()
	sensor := s.identity("sensor")
	for _, c := range []struct {
		name string
		cert tls.Certificate
		path string
		want int
	}{
		{"a certificate that nobody knows", foreign(t, "sensor"), "/greengrass/discover/thing/sensor", 401},
		{"the certificate of another thing", sensor, "/greengrass/discover/thing/display", 403},
		{"a thing that is not there", sensor, "/greengrass/discover/thing/nobody", 403},
		{"an unknown path", sensor, "/greengrass/discover/things", 404},
		{"the root", sensor, "/", 404},
	} {
		code, body := s.get(c.cert, c.path)
		if code != c.want {
			t.Errorf("%s: %d, want %d", c.name, code, c.want)
		}
		// A body that is not JSON aborts the whole process of the JavaScript SDK.
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: the body is no JSON: %q", c.name, body)
		}
	}
}

// TestDiscoveryHead holds the regular expressions of the Python SDK, version 1,
// to the raw answer: it knows content-length in lower case only.
func TestDiscoveryHead(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor")
	s.start()
	for path, want := range map[string]string{"/greengrass/discover/thing/sensor": "200", "/nothing": "404"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := s.tls(s.identity("sensor"))
			config.MinVersion, config.MaxVersion = version, version
			config.InsecureSkipVerify, config.ServerName = true, "" // no SNI, as there
			conn, err := tls.Dial("tcp", s.discovery, config)
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, s.discovery)
			head, body := readAnswer(t, conn)
			status := regexp.MustCompile(`^HTTP/1.1 (\d+) `).FindSubmatch(head)
			if status == nil || string(status[1]) != want {
				t.Errorf("%s: the head %q has no status %s", path, head, want)
			}
			length := regexp.MustCompile(`content-length: ([0-9]+)\r\n`).FindAllSubmatch(head, -1)
			if len(length) != 1 || string(length[0][1]) != fmt.Sprint(len(body)) {
				t.Errorf("%s: %d bytes of body, and the head %q", path, len(body), head)
			}
			if bytes.Contains(head, []byte("Content-Length")) || bytes.Contains(head, []byte("chunked")) {
				t.Errorf("%s: the head tells the length twice: %q", path, head)
			}
			_ = conn.Close()
		}
	}
}

// readAnswer reads a head, and then as many bytes as it says or there are.
func readAnswer(t *testing.T, conn net.Conn) (head, body []byte) {
	t.Helper()
	var all []byte
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all = append(all, buf[:n]...)
		head, body, _ = bytes.Cut(all, []byte("\r\n\r\n"))
		if length := regexp.MustCompile(`(?i)content-length: ([0-9]+)`).FindSubmatch(head); length != nil && fmt.Sprint(len(body)) == string(length[1]) {
			return append(head, "\r\n"...), body
		}
		if err != nil {
			return append(head, "\r\n"...), body
		}
	}
}

// TestOneListenerServesBothProtocols goes by ALPN, as on port 443 of AWS.
func TestOneListenerServesBothProtocols(t *testing.T) {
	t.Parallel()
	s := newSite(t, "sensor")
	s.start()
	for _, alpn := range []string{"x-amzn-mqtt-ca", "mqtt"} {
		config := s.tls(s.identity("sensor"))
		config.NextProtos = []string{alpn}
		conn, err := tls.Dial("tcp", s.discovery, config)
		if err != nil {
			t.Errorf("ALPN %s: %v", alpn, err)
			continue
		}
		if first, body := exchange(t, conn, rawConnect(4, "sensor")); first != 0x20 || len(body) != 2 || body[1] != 0 {
			t.Errorf("ALPN %s: %#x %v, want CONNACK 0", alpn, first, body)
		}
		_ = conn.Close()
	}
	for _, alpn := range [][]string{nil, {"x-amzn-http-ca"}, {"h2", "http/1.1"}, {"http/1.1"}, {"something-else"}} {
		config := s.tls(s.identity("sensor"))
		config.NextProtos = alpn
		conn, err := tls.Dial("tcp", s.discovery, config)
		if err != nil {
			t.Errorf("ALPN %q: %v", alpn, err)
			continue
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "GET /greengrass/discover/thing/sensor HTTP/1.1\r\nHost: %s\r\n\r\n", s.discovery)
		if head, _ := readAnswer(t, conn); !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
			t.Errorf("ALPN %q: %q, want HTTP/1.1 200", alpn, head)
		}
		_ = conn.Close()
	}
	// On the broker's own listener every name is MQTT.
	for _, alpn := range [][]string{nil, {"x-amzn-mqtt-ca"}, {"h2", "http/1.1"}, {"something-else"}} {
		config := s.tls(s.identity("sensor"))
		config.NextProtos = alpn
		conn, err := tls.Dial("tcp", s.broker, config)
		if err != nil {
			t.Errorf("broker, ALPN %q: %v", alpn, err)
			continue
		}
		if first, body := exchange(t, conn, rawConnect(4, "sensor")); first != 0x20 || len(body) != 2 || body[1] != 0 {
			t.Errorf("broker, ALPN %q: %#x %v, want CONNACK 0", alpn, first, body)
		}
		_ = conn.Close()
	}
}

package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greengate/sync/cloud/cloudtest"
)

// Clouds that accept a connection and never answer, and two gateways with one identity.

// door stands before a cloud. While it is shut nothing comes back through it.
type door struct {
	net.Listener
	cloud  string        // HOST:PORT
	opened chan struct{} // closed when it is; who came before is cut off
	taken  atomic.Int64  // connections
}

func (d *door) open() bool {
	select {
	case <-d.opened:
		return true
	default:
		return false
	}
}

// newDoor makes a door that treats a client in its own way.
func newDoor(t *testing.T, cloud string, treat func(*door, net.Conn)) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	d := &door{Listener: l, cloud: cloud, opened: make(chan struct{})}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			d.taken.Add(1)
			over := make(chan struct{})
			if !d.open() {
				go func() {
					defer client.Close()
					select {
					case <-d.opened:
					case <-over:
					}
				}()
			}
			go func() {
				defer client.Close()
				defer close(over)
				treat(d, client)
			}()
		}
	}()
	return d
}

// join carries bytes between a client and an address, back as long as passes says so.
func (d *door) join(client net.Conn, said io.Reader, address string, passes func() bool) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer client.Close()
		chunk := make([]byte, 64<<10)
		for {
			n, err := server.Read(chunk)
			if n > 0 && passes() {
				_, err = client.Write(chunk[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	_, _ = io.Copy(server, said)
}

// noTLS takes what comes and says nothing.
func noTLS(d *door, client net.Conn) {
	if d.open() {
		d.join(client, client, d.cloud, d.open)
	}
	_, _ = io.Copy(io.Discard, client)
}

// noConnack lets TLS through and no word of MQTT: the second flight of a client ends its
// handshake, and what comes back from then on is lost.
func noConnack(d *door, client net.Conn) {
	said := &flights{Reader: client}
	d.join(client, said, d.cloud, func() bool { return said.n.Load() < 2 || d.open() })
}

// flights counts how often something was read.
type flights struct {
	io.Reader
	n atomic.Int32
}

func (f *flights) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	f.n.Add(1)
	return n, err
}

// noTunnel is a proxy that answers no CONNECT.
func noTunnel(d *door, client net.Conn) {
	r := bufio.NewReader(client)
	if request, err := http.ReadRequest(r); err == nil && d.open() {
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		d.join(client, r, request.Host, d.open)
	}
	_, _ = io.Copy(io.Discard, client)
}

// waiting is a site whose cloud does not answer.
type waiting struct {
	*cloudSite
	g             *gateway
	door          *door // nil: it answers all but publishes
	fault         string
	thermo, light *device
	pair          *talk
}

// newWaiting starts a site before a door. A proxy is one that the group file names.
func newWaiting(t *testing.T, proxy bool, treat func(*door, net.Conn), fault string) *waiting {
	t.Helper()
	w := &waiting{cloudSite: quickCloudSite(t, "thermo", "light", "sensor", "display"), fault: fault}
	w.rows(toCloud, row{From: "sensor", Topic: talkRow, To: "display"})
	switch {
	case treat == nil:
		w.cloud.Change(func(f *cloudtest.Faults) { f.PubackWithheld = true })
	default:
		w.door = newDoor(t, w.cloud.Addr(), treat)
		if proxy {
			w.set("http://"+w.door.Addr().String(), "cloud", "proxy")
		} else {
			w.set(w.door.Addr().(*net.TCPAddr).Port, "cloud", "port")
		}
	}
	w.g = w.start()
	w.thermo, w.light, w.pair = w.connect("thermo"), w.connect("light"), w.talk()
	w.light.subscribe(shadowTopic("light", "", "update/accepted"))
	return w
}

// works passes what a site does by itself, and ten numbers for the cloud.
func (w *waiting) works(from int) {
	w.t.Helper()
	w.pair.slowest(10)
	w.thermo.measure(from, from+9)
	w.light.publish(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"n":%d}}}`, from))
	w.light.shadowAnswer()
	if code, body := w.discover(w.identity("light"), "light"); code != 200 {
		w.t.Errorf("discovery answers %d %s", code, body)
	}
}

// tells waits until a fault says what is not answered.
func (w *waiting) tells() {
	w.t.Helper()
	limit := time.After(3 * patience)
	for {
		f := fmt.Sprint(w.g.faultsOf("cloud"))
		if strings.Contains(f, w.fault) && strings.Contains(f, "no answer within") {
			return
		}
		select {
		case <-limit:
			w.t.Fatalf("no fault tells of %q: %s", w.fault, f)
		case <-time.After(time.Second):
		}
	}
}

// TestFaultCloudNeverAnswers: the cloud takes the connection, and then nothing comes: no
// TLS, no answer of the proxy, no CONNACK, no PUBACK. The site starts and goes on as ever,
// the status says what was waited for, and nothing is lost.
func TestFaultCloudNeverAnswers(t *testing.T) {
	t.Parallel()
	sites := []*waiting{ // at once, since the link waits half a minute for some of it
		newWaiting(t, false, noTLS, "TLS with localhost"),
		newWaiting(t, true, noTunnel, "through the proxy 127.0.0.1"),
		newWaiting(t, false, noConnack, "wait for CONNACK: no answer within"),
		newWaiting(t, false, nil, ""),
	}
	for _, w := range sites {
		if w.door != nil {
			eventually(t, "the gateway has come to the door", func() bool { return w.door.taken.Load() > 0 })
		}
		w.works(1)
		if n := w.g.status().Spool.Messages; n != 10 {
			t.Errorf("%d messages wait for the cloud, want 10", n)
		}
	}
	for _, w := range sites {
		if w.door != nil {
			w.tells()
		}
		w.works(11)
	}
	for _, w := range sites {
		if w.door == nil {
			w.cloud.Heal()
		} else {
			close(w.door.opened)
		}
		w.g.reload() // and have the link try again at once, unless it is at it
	}
	for _, w := range sites {
		w.arrived(map[string]int{"thermo": 20})
		w.pair.slowest(3)
	}
}

// TestFaultTwoGatewaysOneIdentity: a card was copied. The cloud gives the connection to
// the one that came last, each time: so the other keeps away for minutes, says why, and
// keeps what it has for the cloud until the double is gone.
func TestFaultTwoGatewaysOneIdentity(t *testing.T) {
	t.Parallel()
	s := quickCloudSite(t, "thermo")
	double := &cloudSite{newSiteWith(t, []string{"--key", "p-256"}, "hygro"), s.cloud}
	double.linkBy(cloudtest.FilesIn(filepath.Join(s.dir, "pki"), "e2e_Core"))
	s.rows(toCloud)
	double.rows(toCloud)

	first := s.start()
	thermo := s.connect("thermo")
	thermo.measure(1, 10)
	s.arrived(map[string]int{"thermo": 10})
	second := double.start()
	hygro := double.connect("hygro")
	first.away("another client uses this gateway's identity")
	thermo.measure(11, 60)
	hygro.measure(1, 50)
	s.arrived(map[string]int{"thermo": 10, "hygro": 50})
	if f := fmt.Sprint(second.faultsOf("cloud")); f != "[]" {
		t.Errorf("the one that is connected has faults %s", f)
	}

	// The person tries it at the first one: now the other is away, and both are safe.
	first.reload()
	s.arrived(map[string]int{"thermo": 60, "hygro": 50})
	second.away("another client uses this gateway's identity")
	hygro.measure(51, 100)
	if st := second.status(); st.Spool.Messages != 50 {
		t.Errorf("%d messages wait at the second, want 50", st.Spool.Messages)
	}
	for _, c := range s.cloud.Status().Clients {
		if c.ID == "e2e_Core" && c.Connects > 4 {
			t.Errorf("they have taken the connection from each other %d times", c.Connects)
		}
	}
	first.stop()
	second.reload()
	s.arrived(map[string]int{"thermo": 60, "hygro": 100})
}

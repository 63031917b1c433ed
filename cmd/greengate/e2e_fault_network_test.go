package main_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"greengate/sync/cloud/cloudtest"
)

// inNetwork puts a cloud by the name cloud.test into a network, for a site whose clients
// are there. Shadows stay local: the data plane is elsewhere.
func (s *site) inNetwork(n *network, listener net.Listener) *cloudSite {
	s.t.Helper()
	s.in = n
	return s.withCloud(func(o *cloudtest.Options) { o.Name, o.Listener, o.NoData = "cloud.test", listener, true })
}

// moveTo has the clients of the site look for it at an address.
func (s *site) moveTo(host string) {
	s.broker, s.discovery = net.JoinHostPort(host, "8883"), net.JoinHostPort(host, "8443")
}

// TestFaultNewAddress: the interface of the gateway goes, and another comes with another
// address (a stick that is pulled, another Wi-Fi). The listeners live on; discovery, DNS-SD
// and the server certificate tell of the new address; the link to the cloud does not wait
// for its keep-alive; nothing is lost.
func TestFaultNewAddress(t *testing.T) {
	t.Parallel()
	here, lan := newNetwork(t), newNetwork(t)
	const pc = "10.77.0.9"
	plug := func(address string) *announced {
		here.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(lan.pid))
		for n, addr := range map[*network]string{here: address, lan: pc} {
			n.ip("addr", "add", addr+"/24", "dev", "eth0")
			n.ip("link", "set", "eth0", "up")
		}
		return lan.hears("eth0")
	}
	heard := plug("10.77.0.1")

	of := newSiteWith(t, []string{"--key", "p-256"}, "thermo", "sensor", "display")
	of.listenAt("0.0.0.0:8883", "0.0.0.0:8443")
	of.set(true, "discovery", "announce")
	of.moveTo("10.77.0.1")
	s := of.inNetwork(lan, lan.listen("0.0.0.0:0"))
	s.rows(toCloud, row{From: "sensor", Topic: talkRow, To: "display"})
	g := s.startIn(here, map[string]string{"hosts": pc + " cloud.test\n"})
	told := func(address string) {
		t.Helper()
		if code, body := s.discover(s.identity("sensor"), "sensor"); code != 200 || !strings.Contains(body, `"HostAddress":"`+address+`"`) {
			t.Errorf("discovery answers %d %s, want the address %s", code, body, address)
		}
		eventually(t, "DNS-SD tells of "+address, func() bool { return heard.has(address) })
		s.talk().slowest(3)
	}
	told("10.77.0.1")
	s.connect("thermo").measure(1, 10)
	s.arrived(map[string]int{"thermo": 10})

	here.ip("link", "del", "eth0")
	g.away("the address 10.77.0.1 is gone")
	heard = plug("10.77.0.2")
	s.moveTo("10.77.0.2")
	eventually(t, "the server's certificate has the new address", func() bool {
		_, err := s.secure(s.broker, s.tls(tls.Certificate{}))
		return err == nil
	})
	told("10.77.0.2")
	s.connect("thermo").measure(11, 20)
	g.reload() // and have the link try again at once
	s.arrived(map[string]int{"thermo": 20})
}

// resolver is a name server that knows cloud.test, and may be broken.
type resolver struct {
	state atomic.Int32
	asked atomic.Int64
}

const (
	dnsSilent = iota
	dnsFails
	dnsWell
)

// serve answers questions as the state has it.
func (r *resolver) serve(conn net.PacketConn) {
	packet := make([]byte, 1500)
	for {
		size, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		r.asked.Add(1)
		var m dnsmessage.Message
		if m.Unpack(packet[:size]) != nil || len(m.Questions) != 1 || r.state.Load() == dnsSilent {
			continue
		}
		m.Response, m.Additionals = true, nil
		switch q := m.Questions[0]; {
		case r.state.Load() == dnsFails:
			m.RCode = dnsmessage.RCodeServerFailure
		case q.Name.String() == "cloud.test." && q.Type == dnsmessage.TypeA:
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			_, _ = conn.WriteTo(answer, from)
		}
	}
}

// TestFaultNoDNS: the name server says nothing, or that it cannot. The gateway starts and
// serves its site as ever, says which name it cannot resolve, and finds the cloud when
// names are resolved again.
func TestFaultNoDNS(t *testing.T) {
	t.Parallel()
	here := newNetwork(t)
	var conn net.PacketConn
	err := here.do(func() (err error) {
		conn, err = net.ListenPacket("udp", "127.0.0.1:53")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	names := new(resolver)
	go names.serve(conn)

	s := newSiteWith(t, []string{"--key", "p-256"}, "thermo", "light", "sensor", "display").inNetwork(here, here.listen("127.0.0.1:0"))
	s.rows(toCloud, row{From: "sensor", Topic: talkRow, To: "display"})
	g := s.startIn(here, map[string]string{"hosts": "127.0.0.1 localhost\n", "resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"})
	thermo, light, w := s.connect("thermo"), s.connect("light"), s.talk()
	light.subscribe(shadowTopic("light", "", "update/accepted"))
	measured := 0
	for name, state := range map[string]int32{"is silent": dnsSilent, "fails": dnsFails} {
		names.state.Store(state)
		g.reload()
		asked := names.asked.Load()
		eventually(t, "the gateway has asked for the name of the cloud", func() bool { return names.asked.Load() > asked })
		w.slowest(20)
		thermo.measure(measured+1, measured+10)
		measured += 10
		light.publish(shadowTopic("light", "", "update"), fmt.Sprintf(`{"state":{"reported":{"n":%d}}}`, measured))
		light.shadowAnswer()
		if code, body := s.discover(s.identity("light"), "light"); code != 200 {
			t.Errorf("the name server %s, and discovery answers %d %s", name, code, body)
		}
		g.away("resolve the name cloud.test")
	}
	if n := g.status().Spool.Messages; n != int64(measured) {
		t.Errorf("%d messages wait for the cloud, want %d", n, measured)
	}
	names.state.Store(dnsWell)
	g.reload()
	s.arrived(map[string]int{"thermo": measured})
}

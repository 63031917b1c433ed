package discovery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var (
	testWho      = announcement{group: "home v1.2", core: "arn:aws:iot:eu-west-1:123456789012:thing/Home_Core"}
	testServices = []service{{discoveryService, 8443}, {mqttService, 8883}}
	testAddrs    = []netip.Addr{netip.MustParseAddr("192.0.2.5"), netip.MustParseAddr("2001:db8::5")}
)

// brief writes records as lines that a test can compare.
func brief(records []dnsmessage.Resource) (lines []string) {
	for _, r := range records {
		line := strings.TrimPrefix(r.Header.Type.String(), "Type") + " " + r.Header.Name.String()
		switch b := r.Body.(type) {
		case *dnsmessage.SRVResource:
			line += fmt.Sprintf(" %s:%d", b.Target, b.Port)
		case *dnsmessage.PTRResource:
			line += " " + b.PTR.String()
		case *dnsmessage.TXTResource:
			line += " " + strings.Join(b.TXT, ",")
		case *dnsmessage.AResource:
			line += " " + netip.AddrFrom4(b.A).String()
		case *dnsmessage.AAAAResource:
			line += " " + netip.AddrFrom16(b.AAAA).String()
		}
		lines = append(lines, line)
	}
	return lines
}

func question(name string, kind dnsmessage.Type) dnsmessage.Question {
	return dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}
}

func TestLookup(t *testing.T) {
	const host, instance = "greengate-home-core.local.", "home v1-2._greengrass-discovery._tcp.local."
	records := testWho.records(testServices, testAddrs)
	addresses := []string{"A " + host + " 192.0.2.5", "AAAA " + host + " 2001:db8::5"}
	pointer := "PTR _greengrass-discovery._tcp.local. " + instance
	srv, txt := "SRV "+instance+" "+host+":8443", "TXT "+instance+" group=home v1.2,core=Home_Core"
	for _, c := range []struct {
		name          string
		question      dnsmessage.Question
		answers, more []string
	}{
		{"browse", question(discoveryService, dnsmessage.TypePTR), []string{pointer}, append([]string{srv, txt}, addresses...)},
		{"browse in capitals", question("_GREENGRASS-Discovery._TCP.local.", dnsmessage.TypePTR), []string{pointer}, append([]string{srv, txt}, addresses...)},
		{"resolve", question(instance, dnsmessage.TypeSRV), []string{srv}, addresses},
		{"all of an instance", question(instance, dnsmessage.TypeALL), []string{srv, txt}, addresses},
		{"host", question(host, dnsmessage.TypeA), addresses[:1], nil},
		{"services", question(allServices, dnsmessage.TypePTR), []string{"PTR " + allServices + " " + discoveryService, "PTR " + allServices + " " + mqttService}, nil},
		{"others", question("_http._tcp.local.", dnsmessage.TypePTR), nil, nil},
		{"other class", dnsmessage.Question{Name: dnsmessage.MustNewName(host), Type: dnsmessage.TypeA, Class: dnsmessage.ClassCHAOS}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			answers, more := lookup(records, []dnsmessage.Question{c.question}, nil)
			if got := brief(answers); !slices.Equal(got, c.answers) {
				t.Errorf("answers\n%q\nwant\n%q", got, c.answers)
			}
			if got := brief(more); !slices.Equal(got, c.more) {
				t.Errorf("more\n%q\nwant\n%q", got, c.more)
			}
		})
	}
	all, _ := lookup(records, []dnsmessage.Question{question(discoveryService, dnsmessage.TypePTR)}, nil)
	if again, _ := lookup(records, []dnsmessage.Question{question(discoveryService, dnsmessage.TypePTR)}, all); len(again) != 0 {
		t.Errorf("a known answer is repeated: %q", brief(again))
	}
}

func TestNamesAreLegal(t *testing.T) {
	long := strings.Repeat("ä", 128)
	for _, who := range []announcement{{long, long}, {"a.b\x00c\xff", "A:B_c-"}, {".", "-"}} {
		packet, err := (&dnsmessage.Message{Answers: who.records(testServices, testAddrs)}).Pack()
		if err != nil {
			t.Errorf("%q: %v", who, err)
		}
		if err := new(dnsmessage.Message).Unpack(packet); err != nil {
			t.Errorf("%q: %v", who, err)
		}
	}
	if got := HostName("arn:aws:iot:eu-west-1:123456789012:thing/My:Core_1"); got != "greengate-my-core-1.local" {
		t.Errorf("host name %s", got)
	}
}

func TestReachable(t *testing.T) {
	tcp := func(addrs ...string) (out []net.Addr) {
		for _, a := range addrs {
			out = append(out, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a)))
		}
		return out
	}
	for _, c := range []struct {
		name            string
		discovery, mqtt []net.Addr
		want            string
	}{
		{"everywhere", tcp("[::]:8443", "[::]:443"), tcp("0.0.0.0:8883"), "[{_greengrass-discovery._tcp.local. 8443} {_secure-mqtt._tcp.local. 8883}] [192.0.2.5 2001:db8::5]"},
		{"loopback only", tcp("127.0.0.1:8443"), tcp("127.0.0.1:8883"), "[] []"},
		{"another network", tcp("198.51.100.1:8443"), tcp("198.51.100.1:8883"), "[] []"},
		{"one address", tcp("127.0.0.1:8443", "192.0.2.5:443"), tcp("[::]:8883"), "[{_greengrass-discovery._tcp.local. 443} {_secure-mqtt._tcp.local. 8883}] [192.0.2.5]"},
		{"MQTT elsewhere", tcp("[::]:8443"), tcp("127.0.0.1:8883"), "[{_greengrass-discovery._tcp.local. 8443}] [192.0.2.5 2001:db8::5]"},
		{"discovery elsewhere", tcp("127.0.0.1:8443"), tcp("192.0.2.5:8883"), "[{_secure-mqtt._tcp.local. 8883}] [192.0.2.5]"},
	} {
		services, addrs := reachable(testAddrs, c.discovery, c.mqtt)
		if got := fmt.Sprint(services, addrs); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// loopbackGroup is a multicast group on the loopback interface, on a port that
// nobody else uses.
func loopbackGroup(t *testing.T, address string) (net.Interface, netip.AddrPort) {
	t.Helper()
	lo, err := net.InterfaceByIndex(1)
	if err != nil || lo.Flags&net.FlagLoopback == 0 {
		t.Skip("no loopback interface")
	}
	free, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return *lo, netip.AddrPortFrom(netip.MustParseAddr(address), uint16(free.LocalAddr().(*net.UDPAddr).Port))
}

func TestResponderOnTheWire(t *testing.T) {
	for _, address := range []string{"224.0.0.251", "ff02::fb"} {
		t.Run(address, func(t *testing.T) {
			lo, group := loopbackGroup(t, address)
			listener, err := joinGroup(lo, group)
			if err != nil {
				t.Skipf("no multicast on loopback: %v", err)
			}
			defer listener.Close()
			conn, err := joinGroup(lo, group)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := listener.WriteToUDPAddrPort([]byte("probe"), group); err != nil {
				t.Skipf("no multicast route on loopback: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			r := &responder{conn: conn, group: group, records: testWho.records(testServices, testAddrs)}
			go func() { done <- r.run(ctx) }()

			hear(t, listener, "the announcement", func(m dnsmessage.Message) bool {
				return m.Response && len(m.Answers) == len(r.records) && m.Answers[0].Header.TTL > 0
			})
			query := dnsmessage.Message{Questions: []dnsmessage.Question{question(mqttService, dnsmessage.TypePTR)}}
			send(t, listener, group, query)
			hear(t, listener, "the answer by multicast", func(m dnsmessage.Message) bool {
				return m.Response && len(m.Answers) == 1 && m.ID == 0 && len(m.Questions) == 0 && strings.Contains(brief(m.Additionals)[0], ":8883")
			})
			if group.Addr().Is4() { // a plain resolver asks from a port of its own
				plain, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					t.Fatal(err)
				}
				defer plain.Close()
				query.ID = 4711
				send(t, plain, group, query)
				hear(t, plain, "the answer by unicast", func(m dnsmessage.Message) bool {
					return m.Response && m.ID == 4711 && len(m.Questions) == 1 && m.Answers[0].Header.TTL <= 10 && m.Additionals[0].Header.Class == dnsmessage.ClassINET
				})
			}
			cancel()
			hear(t, listener, "the farewell", func(m dnsmessage.Message) bool {
				return m.Response && len(m.Answers) == len(r.records) && m.Answers[0].Header.TTL == 0
			})
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func send(t *testing.T, conn *net.UDPConn, to netip.AddrPort, m dnsmessage.Message) {
	t.Helper()
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.WriteToUDPAddrPort(packet, to); err != nil {
		t.Fatal(err)
	}
}

// hear reads packets until one is what we wait for.
func hear(t *testing.T, conn *net.UDPConn, what string, is func(dnsmessage.Message) bool) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, maxPacket)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(buf[:n]); err == nil && is(m) {
			return
		}
	}
}

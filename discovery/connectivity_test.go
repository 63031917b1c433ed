package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
)

func TestEntries(t *testing.T) {
	const lan, far, loop = "192.168.1.5", "192.168.1.77", "127.0.0.1"
	for _, c := range []struct {
		name          string
		hosts         []string
		local, remote string
		want          string
	}{
		{"the way it came", nil, lan, far, "[192.168.1.5]"},
		{"IPv4 in IPv6", nil, "::ffff:192.168.1.5", "::ffff:192.168.1.77", "[192.168.1.5]"},
		{"IPv6", nil, "fd00::5", "fd00::77", "[fd00::5]"},
		{"on this machine", nil, loop, loop, "[127.0.0.1]"},
		{"hosts in order, once each", []string{"gw.lan", lan, "gw.lan"}, "10.0.0.1", far, "[gw.lan 192.168.1.5]"},
		{"no loopback to others", []string{loop, "localhost", "::1", "Foo.Localhost.", "127.9.9.9", "0.0.0.0", lan}, "10.0.0.1", far, "[192.168.1.5]"},
		{"loopback to ourselves", []string{loop, lan}, loop, loop, "[127.0.0.1 192.168.1.5]"},
		{"loopback to ourselves, mapped", []string{loop, lan}, loop, "::ffff:127.0.0.1", "[127.0.0.1 192.168.1.5]"},
		{"never nothing", []string{loop}, lan, far, "[192.168.1.5]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			local := addrOf(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.local), 8443)))
			var hosts []string
			ids := map[string]bool{}
			for _, e := range entries(c.hosts, local, netip.MustParseAddr(c.remote), 8883) {
				hosts = append(hosts, e.HostAddress)
				if e.PortNumber != 8883 || e.Id == "" || ids[e.Id] {
					t.Errorf("entry %+v", e)
				}
				ids[e.Id] = true
			}
			if got := fmt.Sprint(hosts); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestZoneOfAnAddressIsNotTold(t *testing.T) {
	a := addrOf(&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "no-such-interface", Port: 8443})
	if a.String() != "fe80::1" {
		t.Errorf("got %s", a)
	}
}

func TestUpdateTakesNewHosts(t *testing.T) {
	s := newSite(t)
	s.Update(Config{Hosts: []string{"gw.lan"}})
	local := addrOf(s.Addrs()[0])
	if got := entries(*s.hosts.Load(), local, netip.MustParseAddr("192.0.2.9"), 8883); len(got) != 1 || got[0].HostAddress != "gw.lan" {
		t.Errorf("got %+v", got)
	}
}

package discovery

import (
	"net"
	"net/netip"
	"strings"
)

// connectivity is one address of the core, with AWS's names. Id is unique in an
// answer, since clients keep the entries in a map by it.
type connectivity struct {
	Id          string
	HostAddress string
	PortNumber  int // a number: as a string it ends AWS's own sample
	Metadata    string
}

// entries are the addresses that a client at remote, whose request came in on
// local, is told: hosts, in order, or local when there are none for this
// client. A loopback address is told to a client on this machine only, since it
// leads any other to itself.
//
// By default it is one entry: clients take the first, or all at once under one
// client id, so a second way to the same core has their sessions evict each
// other for ever. And it is one that works, as the request has just come over
// it.
func entries(hosts []string, local, remote netip.Addr, port int) []connectivity {
	var out []connectivity
	seen := make(map[string]bool)
	add := func(host string) {
		if !seen[host] {
			seen[host] = true
			out = append(out, connectivity{Id: host, HostAddress: host, PortNumber: port})
		}
	}
	for _, host := range hosts {
		if remote.IsLoopback() || !isLoopback(host) {
			add(host)
		}
	}
	if len(out) == 0 {
		add(local.String())
	}
	return out
}

// isLoopback says whether host, an address or a name, is this machine to
// whoever reads it.
func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback() || addr.Unmap().IsUnspecified()
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") // RFC 6761, 6.3
}

// addrOf returns the IP address of a, as a client can use it: IPv4 as IPv4, and
// IPv6 without a zone, which is ours alone. A link-local IPv6 address is worth
// nothing without the client's own zone, so another address of the same
// interface stands in.
func addrOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap()
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		if ifi, err := net.InterfaceByName(addr.Zone()); err == nil {
			if others := routable(*ifi); len(others) > 0 {
				return others[0]
			}
		}
	}
	return addr.WithZone("")
}

// routable returns the addresses of an interface that other machines can use as
// they are, IPv4 first.
func routable(ifi net.Interface) []netip.Addr {
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil
	}
	var v4, v6 []netip.Addr
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		addr, _ := netip.AddrFromSlice(ipnet.IP)
		switch addr = addr.Unmap(); {
		case addr.Is4() && !addr.IsLoopback():
			v4 = append(v4, addr)
		case addr.Is6() && addr.IsGlobalUnicast():
			v6 = append(v6, addr)
		}
	}
	return append(v4, v6...)
}

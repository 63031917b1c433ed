package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// The groups of multicast DNS (RFC 6762, 3).
var (
	mdnsIPv4 = netip.MustParseAddrPort("224.0.0.251:5353")
	mdnsIPv6 = netip.MustParseAddrPort("[ff02::fb]:5353")
)

// ipMulticastAll is IP_MULTICAST_ALL of linux/in.h, which package syscall
// lacks.
const ipMulticastAll = 49

// multicastHops is the hop limit with which multicast DNS is sent (RFC 6762,
// 11).
const multicastHops = 255

// joinGroup returns a socket that hears what is sent to group on one interface,
// and sends on that interface only.
//
// net.ListenMulticastUDP does neither: it binds the wildcard address, by which
// it takes from another responder of this machine (avahi) the packets that are
// for it, and then hears every interface on which anybody has joined the group.
// We would answer the one network with the addresses of another.
func joinGroup(ifi net.Interface, group netip.AddrPort) (*net.UDPConn, error) {
	family, addr := sockaddr(ifi, group)
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a multicast socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "mdns")
	defer file.Close() // FilePacketConn has its own descriptor
	if err := setMulticast(fd, ifi.Index, group.Addr()); err != nil {
		return nil, fmt.Errorf("join %s on %s: %w", group.Addr(), ifi.Name, err)
	}
	if err := syscall.Bind(fd, addr); err != nil {
		return nil, fmt.Errorf("bind %s on %s: %w", group, ifi.Name, err)
	}
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("use a multicast socket: %w", err)
	}
	return conn.(*net.UDPConn), nil
}

// sockaddr is the group on that interface as an address to bind. The scope ties
// an IPv6 socket to the interface.
func sockaddr(ifi net.Interface, group netip.AddrPort) (family int, addr syscall.Sockaddr) {
	if group.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(group.Port()), Addr: group.Addr().As4()}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(group.Port()), Addr: group.Addr().As16(), ZoneId: uint32(ifi.Index)}
}

// setMulticast prepares fd for group on the interface of that index.
func setMulticast(fd, index int, group netip.Addr) error {
	type option struct{ level, name, value int }
	options := []option{{syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1}}
	var join error
	if group.Is4() {
		mreq := &syscall.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)}
		join = syscall.SetsockoptIPMreqn(fd, syscall.IPPROTO_IP, syscall.IP_ADD_MEMBERSHIP, mreq)
		if join == nil {
			join = syscall.SetsockoptIPMreqn(fd, syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, mreq)
		}
		options = append(options,
			option{syscall.IPPROTO_IP, ipMulticastAll, 0},
			option{syscall.IPPROTO_IP, syscall.IP_TTL, multicastHops},
			option{syscall.IPPROTO_IP, syscall.IP_MULTICAST_TTL, multicastHops})
	} else {
		mreq := &syscall.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)}
		join = syscall.SetsockoptIPv6Mreq(fd, syscall.IPPROTO_IPV6, syscall.IPV6_JOIN_GROUP, mreq)
		options = append(options,
			option{syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1},
			option{syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_IF, index},
			option{syscall.IPPROTO_IPV6, syscall.IPV6_UNICAST_HOPS, multicastHops},
			option{syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_HOPS, multicastHops})
	}
	if join != nil {
		return join
	}
	for _, o := range options {
		if err := syscall.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

package configs

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// hosts checks what discovery answers with and writes each one in its one form, so
// that clients are told what they can use as it stands, and nothing twice.
func (k *checker) hosts() {
	seen := map[string]bool{}
	for i, h := range k.c.Discovery.Hosts {
		p := path{"discovery", "hosts", i}
		host := plainHost(h)
		switch _, _, err := net.SplitHostPort(h); {
		case err == nil && !isHost(h):
			k.check(p, fmt.Sprintf("%q has a port", clip(h)), "write the address or name alone; the port is the broker's")
		case !isHost(h):
			k.check(p, fmt.Sprintf("%q is neither an address nor a host name", clip(h)), "")
		case strings.Contains(h, "%"):
			k.check(p, fmt.Sprintf("%q has a zone, which means nothing on another machine", clip(h)), "write an address that needs none, or a name")
		case seen[host]:
			k.check(p, fmt.Sprintf("%q is in the list already", clip(h)), "take one out")
		}
		seen[host] = true
		k.c.Discovery.Hosts[i] = host
	}
}

// plainHost returns an address as IPv4 where it is one, in its shortest text, and a
// name in small letters without the dot at its end: many clients send in the TLS
// handshake what they are told, and there a name has no such dot (RFC 6066, 3).
func plainHost(h string) string {
	if addr, err := netip.ParseAddr(h); err == nil {
		return addr.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(h, "."))
}

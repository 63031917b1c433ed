package pki

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// The addresses of a certificate are bounded, since every handshake carries
// them. Those of now go in up to mostAddresses. Older ones fill up what is left
// to roomForOld, so that an interface that comes and goes does not cost a
// certificate each time.
const (
	mostAddresses = 256
	roomForOld    = 64
)

// host is what the machine says about itself.
type host struct {
	addresses func() ([]net.Addr, error)
	name      func() (string, error)
}

var thisHost = host{addresses: net.InterfaceAddrs, name: os.Hostname}

// altNames is what a certificate is for (subject alternative names): a client
// accepts the server only under one of these.
type altNames struct {
	dns []string
	ips []netip.Addr
}

// wanted returns the names of this gateway: those handed in (host names or
// addresses), the machine's name, NAME.local (mDNS), localhost, and every address
// of every interface. What is no legal name is left out and returned as bad: one
// typing mistake must not leave the gateway without a certificate. An error to
// read the addresses, or that there are too many, comes beside what there is.
func (h host) wanted(given []string) (want altNames, bad []string, err error) {
	for _, name := range given {
		if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
			want.addAddr(addr)
		} else if !want.addName(name) {
			bad = append(bad, name)
		}
	}
	if name, err := h.name(); err == nil && name != "" {
		first, _, _ := strings.Cut(name, ".")
		for _, name := range []string{name, first, first + ".local"} {
			if !want.addName(name) && !slices.Contains(bad, name) {
				bad = append(bad, name)
			}
		}
	}
	want.addName("localhost")
	want.addAddr(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	want.addAddr(netip.IPv6Loopback())
	addrs, err := h.addresses()
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			want.addAddr(prefix.Addr())
		}
	}
	if n := len(want.ips); n > mostAddresses {
		want.ips = want.ips[:mostAddresses]
		err = fmt.Errorf("a certificate holds %d addresses, and this machine has %d", mostAddresses, n)
	}
	return want, bad, err
}

func (n *altNames) addAddr(addr netip.Addr) {
	addr = addr.WithZone("").Unmap() // a certificate has no zone
	if !addr.IsUnspecified() && !addr.IsMulticast() && !slices.Contains(n.ips, addr) {
		n.ips = append(n.ips, addr)
	}
}

func (n *altNames) addName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if !legalName(name) {
		return false
	}
	if !slices.Contains(n.dns, name) {
		n.dns = append(n.dns, name)
	}
	return true
}

// legalName reports whether TLS libraries take name as a dNSName: LDH labels
// (RFC 1034, 3.5), and the underscore, which real networks use. Anything else
// makes some of them refuse the whole certificate.
func legalName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
				return false
			}
		}
	}
	return true
}

// namesOf returns what cert is for.
func namesOf(cert *x509.Certificate) altNames {
	n := altNames{dns: cert.DNSNames}
	for _, ip := range cert.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			n.ips = append(n.ips, addr.Unmap())
		}
	}
	return n
}

// lacks returns the names of want that n has not.
func (n altNames) lacks(want altNames) []string {
	var missing []string
	for _, name := range want.dns {
		if !slices.Contains(n.dns, name) {
			missing = append(missing, name)
		}
	}
	for _, addr := range want.ips {
		if !slices.Contains(n.ips, addr) {
			missing = append(missing, addr.String())
		}
	}
	return missing
}

// with returns n with the addresses of old behind its own, as far as there is
// room. The order is the age: the oldest fall out first.
func (n altNames) with(old altNames) altNames {
	n.ips = slices.Clone(n.ips)
	for _, addr := range old.ips {
		if len(n.ips) >= roomForOld {
			break
		}
		if !slices.Contains(n.ips, addr) {
			n.ips = append(n.ips, addr)
		}
	}
	return n
}

// strings returns the names and addresses as text.
func (n altNames) strings() []string {
	text := slices.Clone(n.dns)
	for _, addr := range n.ips {
		text = append(text, addr.String())
	}
	return text
}

// netIPs returns the addresses as crypto/x509 wants them.
func (n altNames) netIPs() []net.IP {
	ips := make([]net.IP, len(n.ips))
	for i, addr := range n.ips {
		ips[i] = addr.AsSlice()
	}
	return ips
}

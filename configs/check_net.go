package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// users are the listeners by their addresses, as far as they have been checked.
type users map[address]listener

// address is where to listen; host "" is every address of this machine, of IPv4 and IPv6.
type address struct {
	host string
	port int
}

// listener is an address as the file has it, and where it stands.
type listener struct{ text, path string }

// first is in the place of a host for the first listener of a port.
const first = "*"

// listeners checks the addresses of all listeners: each one legal, and none
// used twice, which would fail at the second bind.
func (k *checker) listeners() {
	users := users{}
	k.addresses(path{"broker", "listen"}, k.c.Broker.Listen, "0.0.0.0:8883", users)
	k.addresses(path{"discovery", "listen"}, k.c.Discovery.Listen, "0.0.0.0:8443", users)
	if k.c.Admin.Listen != "" {
		k.address(path{"admin", "listen"}, k.c.Admin.Listen, "127.0.0.1:8080", users)
	}
	k.hosts()
}

// addresses checks a list of addresses to listen on.
func (k *checker) addresses(p path, list []string, example string, users users) {
	if len(list) == 0 {
		k.check(p, "names no address", fmt.Sprintf("write [%q]", example))
	}
	for i, a := range list {
		k.address(append(p[:len(p):len(p)], i), a, example, users)
	}
}

// address checks one address to listen on and notes in users where it stands.
func (k *checker) address(p path, a, example string, users users) {
	host, port, err := splitAddress(a)
	if err != nil {
		k.check(p, fmt.Sprintf("the address %q %v", clip(a), err), fmt.Sprintf("write HOST:PORT, as in %q", example))
		return
	}
	if port == 0 { // any free port, each time another
		return
	}
	at, l := address{hostKey(host), port}, listener{a, p.String()}
	every := address{"", port}
	switch same, wide, any := users[at], users[every], users[address{first, port}]; {
	case same.path != "":
		hint := "take one out"
		if strings.HasPrefix(same.path, "broker.") && p[0] == "discovery" {
			hint = "a listener of discovery serves MQTT too, by ALPN: take it out of " + strings.TrimRight(same.path, "[]0123456789")
		}
		k.check(p, fmt.Sprintf("the address %q stands in %s already", clip(a), same.path), hint)
	case wide.path != "":
		k.check(p, fmt.Sprintf("the address %q is part of %q in %s, which is every address of this machine", clip(a), clip(wide.text), wide.path), k.elsewhere(p))
	case at == every && any.path != "":
		k.check(p, fmt.Sprintf("the address %q is every address of this machine, %q in %s too", clip(a), clip(any.text), any.path), k.elsewhere(p))
	default:
		users[at] = l
		if any.path == "" {
			users[address{first, port}] = l
		}
	}
}

// elsewhere is what to do about an address that is part of another one.
func (k *checker) elsewhere(p path) string {
	if p[0] == "admin" && !k.has(p...) {
		return `it is the default of the status page: write another address, or "" for none`
	}
	return "write another port, or take one out"
}

// hostKey is the one form of a host to listen on. It is "" for every address: net.Listen takes
// 0.0.0.0 for IPv6 too.
func hostKey(host string) string {
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return strings.ToLower(strings.TrimSuffix(host, "."))
	case ip.Unmap().IsUnspecified():
		return ""
	}
	return ip.Unmap().String()
}

// splitAddress reads HOST:PORT, where HOST may be empty and PORT is 0 to 65535.
func splitAddress(a string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(a)
	if err != nil {
		if isHost(a) {
			return "", 0, errors.New("has no port")
		}
		return "", 0, errors.New("is not HOST:PORT")
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	switch {
	case err != nil && digits == "":
		return "", 0, errors.New("has no port")
	case err != nil:
		return "", 0, fmt.Errorf("has the port %q, which is no number from 0 to 65535", clip(digits))
	case host != "" && !isHost(host):
		return "", 0, fmt.Errorf("has the host %q, which is neither an address nor a host name", clip(host))
	}
	return host, int(n), nil
}

// isHost tells whether s is an IP address or a host name (RFC 1123, 2.1).
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > 253 {
		return false
	}
	letters := false
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			switch {
			case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
				letters = true
			case c < '0' || c > '9':
				return false
			}
		}
	}
	return letters // digits and dots alone are an address, and a wrong one
}

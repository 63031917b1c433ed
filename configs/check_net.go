package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// listeners checks the addresses of all listeners: each one legal, and none
// used twice, which would fail at the second bind.
func (k *checker) listeners() {
	users := map[string]string{}
	k.addresses(path{"broker", "listen"}, k.c.Broker.Listen, "0.0.0.0:8883", users)
	k.addresses(path{"discovery", "listen"}, k.c.Discovery.Listen, "0.0.0.0:8443", users)
	if k.c.Admin.Listen != "" {
		k.address(path{"admin", "listen"}, k.c.Admin.Listen, "127.0.0.1:8080", users)
	}
	k.hosts()
}

// addresses checks a list of addresses to listen on.
func (k *checker) addresses(p path, list []string, example string, users map[string]string) {
	if len(list) == 0 {
		k.check(p, "names no address", fmt.Sprintf("write [%q]", example))
	}
	for i, a := range list {
		k.address(append(p[:len(p):len(p)], i), a, example, users)
	}
}

// address checks one address to listen on and notes in users where it stands.
func (k *checker) address(p path, a, example string, users map[string]string) {
	host, port, err := splitAddress(a)
	if err != nil {
		k.check(p, fmt.Sprintf("the address %q %v", clip(a), err), fmt.Sprintf("write HOST:PORT, as in %q", example))
		return
	}
	if port == 0 { // any free port, each time another
		return
	}
	switch host {
	case "0.0.0.0", "::":
		host = "" // every address of the machine
	}
	key := net.JoinHostPort(host, strconv.Itoa(port))
	if first := users[key]; first != "" {
		hint := "take one out"
		if strings.HasPrefix(first, "broker.") && p[0] == "discovery" {
			hint = "a listener of discovery serves MQTT too, by ALPN: take it out of " + strings.TrimRight(first, "[]0123456789")
		}
		k.check(p, fmt.Sprintf("the address %q stands in %s already", clip(a), first), hint)
		return
	}
	users[key] = p.String()
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

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
)

// mosquittoConfig lets mosquitto do its best: no limit that makes it drop or wait,
// no list of who may do what, and the cipher that the others chose.
func (p *programs) mosquittoConfig(address string) []byte {
	host, port, _ := net.SplitHostPort(address)
	var b bytes.Buffer
	fmt.Fprintf(&b, `listener %s %s
cafile %s
certfile %s
keyfile %s
require_certificate true
ciphers_tls1.3 %s
allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
persistence false
`, port, host, p.site.path("devices-ca.pem"), p.site.path("pki", "server.pem"), p.site.path("pki", "server.key"),
		tls.CipherSuiteName(p.suite))
	if os.Geteuid() == 0 {
		b.WriteString("user root\n") // or it drops to a user who cannot read the key
	}
	return b.Bytes()
}

package discovery

import "crypto/tls"

// The protocol names of AWS IoT (AWS, "Device communication protocols"), the
// registered name of MQTT, and HTTP/1.1.
const (
	protoMQTTAWS = "x-amzn-mqtt-ca"
	protoMQTT    = "mqtt"
	protoHTTPAWS = "x-amzn-http-ca"
	protoHTTP    = "http/1.1"
)

// speaksMQTT says whether the protocol that was agreed on in the handshake is
// MQTT. All else, no agreement included, is HTTP/1.1.
func speaksMQTT(negotiated string) bool {
	return negotiated == protoMQTTAWS || negotiated == protoMQTT
}

// serverTLS returns the TLS configuration of the listeners, made from base.
//
// crypto/tls ends a handshake in which client and server both name protocols
// and share none. Since any name must do here, the server's list is made for
// each client: the first name of the client's that we know, and nothing when we
// know none. SNI has no say, as clients send none, a name or an IP.
func serverTLS(base *tls.Config) *tls.Config {
	plain := base.Clone()
	plain.NextProtos = nil
	plain.GetConfigForClient = nil
	plain.MinVersion = max(plain.MinVersion, tls.VersionTLS12)
	// Any certificate completes the handshake, so that a foreign one gets the
	// 401 that a client can understand; and it is always asked for, as clients
	// built on the AWS CRT fail when nobody asks.
	plain.ClientAuth = tls.RequireAnyClientCert

	byProto := make(map[string]*tls.Config)
	for _, proto := range []string{protoMQTTAWS, protoMQTT, protoHTTPAWS, protoHTTP} {
		c := plain.Clone()
		c.NextProtos = []string{proto}
		byProto[proto] = c
	}
	// Session tickets work over all of them: crypto/tls takes the keys of the
	// configuration that GetConfigForClient stands in.
	listener := plain.Clone()
	listener.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		for _, offered := range hello.SupportedProtos {
			if c, known := byProto[offered]; known {
				return c, nil
			}
		}
		return plain, nil
	}
	return listener
}

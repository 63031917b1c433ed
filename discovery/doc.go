// Package discovery lets devices find the gateway: it serves the Greengrass
// discovery API over mutual TLS, tells MQTT from HTTP by ALPN where one port
// serves both, and announces the gateway by DNS-SD on the networks from which
// it can be reached.
//
// The API is that of AWS IoT Greengrass V1 as its own clients speak it (AWS,
// "Greengrass Discovery RESTful API"): a device asks with its certificate and
// gets the address of its core and the group's CA. Everything here works
// without cloud, DNS and clock.
//
// HTTP/1.1 is read by net/http's parser, and answered by a loop of our own
// (http.go): the clients of AWS need heads that net/http's server does not
// write. Handlers are ordinary http.Handlers all the same.
//
// Only cmd imports this package. New starts nothing, Listen binds, Run owns all
// goroutines. Every exported method may be called from any goroutine, save that
// Listen comes before Run.
package discovery

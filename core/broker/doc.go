// Package broker is the local MQTT broker: listeners, the identity of mutual
// TLS, the message path, sessions, retained messages and wills. MQTT 3.1.1 and 5.
//
// It is the only door to mochi-mqtt. mochi speaks the handshake: a connection
// that we accepted is handed to its EstablishConnection as a net.Conn of ours
// (door.go), through which it gets the CONNECT, parses it, asks our hooks and
// answers. Then the client seems to hang up, and mochi forgets it: all other
// packets, and the life of a session, are ours. mochi holds neither connection,
// subscription, message nor session of anybody. What crosses the broker
// therefore crosses the gate (core/router), whatever the door.
//
// It may be imported by cmd and configs.
//
// Concurrency. TLS and CONNECT run on a goroutine that ends with them, since its
// stack grows far; another reads the connection from then on, and routes what it
// read. Who has something for a client appends it to the out buffer of its
// connection and never waits. At the end of its batch it also writes what it
// appended, as long as the gateway is calm (pace.go) and without waiting for the
// client (socket.go); otherwise a goroutine does, which lives as long as there is
// something to write and somebody reads it. A session's mutex guards its queue and its
// inflight window; it is taken before the mutex of the out buffer, and no lock
// is held over the network. The broker's mutex guards the map of sessions and
// is taken before any session's, and never held while a certificate is looked up. That of
// the retained messages is held while a change of them is handed to the store, so that
// memory and disk have the same order.
package broker

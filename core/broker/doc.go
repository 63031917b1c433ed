// Package broker is the local MQTT broker: listeners, the identity of mutual
// TLS, the message path, sessions, retained messages and wills. MQTT 3.1, 3.1.1
// and 5.
//
// It is the only door to mochi-mqtt. mochi speaks the handshake: a connection
// that we accepted is handed to its EstablishConnection as a net.Conn of ours,
// which splits the stream by packet type. CONNECT, SUBSCRIBE, UNSUBSCRIBE,
// PINGREQ, DISCONNECT and AUTH go through to mochi, which parses, validates and
// answers them and tells us by its hooks. PUBLISH, PUBACK, PUBREC, PUBREL and
// PUBCOMP stay here, and so does the life of a session: mochi holds neither
// subscription, message nor session of anybody. What crosses the broker
// therefore crosses the gate (core/router), whatever the door.
//
// It may be imported by cmd and configs.
//
// Concurrency. One goroutine reads a connection, runs mochi and routes what it
// read. Who has something for a client appends it to the out buffer of its
// connection and never waits; a goroutine that lives as long as there is
// something to write empties it. A session's mutex guards its queue and its
// inflight window; it is taken before the mutex of the out buffer, and no lock
// is held over the network. The broker's mutex guards the map of sessions and
// is taken before any session's.
package broker

// Package cloud owns THE connection to AWS IoT Core: one MQTT 5 connection (3.1.1
// by option) over TLS with the core's certificate, its reconnecting, and the
// limits that AWS sets, which are kept here before anything leaves. It is the only
// door to paho, of which it uses the packets: paho's client holds a goroutine for
// each message that waits for its PUBACK and promises no order between them.
//
// It is no queue. What must survive an outage waits in sync/telemetry, which
// hands messages over while the link is connected and learns of each whether the
// cloud has it. Of our rooms it imports core/message only; whoever sends to the
// cloud or receives from it may import it.
//
// A Link is safe for concurrent use. Run owns all its goroutines; callbacks run
// on them: they must be quick and may not call Send.
//
// # The session in the cloud
//
// The gateway asks for a persistent session (clean start 0, session expiry 1
// hour, which is AWS's default maximum): what the cloud publishes at QoS 1 while
// the link is down for less than that comes down afterwards. Our own messages
// never rest on it: one without PUBACK when the connection ends is ErrLost, and
// its owner sends it again as a new message. All subscriptions are asked for
// again at every connection, before anything else; those of an earlier one that
// are no longer wanted are taken back. Should such leftovers of an earlier run
// fill AWS's 50 subscriptions, the next connection starts clean.
//
// # Reconnecting
//
// The wait before an attempt is drawn evenly between nothing and a ceiling that
// doubles from 1 s to 2 min ("full jitter"), and no CONNECT follows another
// within 1 s, AWS's limit for a client id. When the cloud says that it has had
// enough of us, the ceiling goes from 10 s to 10 min; when another client took
// our id over, the wait is 2 to 30 min. Only a connection that lasted a minute (15
// after a take-over) counts as a success. Each step of an attempt has its time, and
// its own words in Status.LastError. Certificates and keys are read at every
// attempt, so a file that was put right or renewed is taken up by itself; Refresh,
// for a reload, ends the wait.
//
// # The data plane
//
// What MQTT cannot tell, the names of a thing's shadows, Names asks over HTTPS,
// with the same certificate, trust, clock and proxy. One connection is made for
// that when it is wanted, and closed when nothing was asked for 10 s.
//
// # AWS's rates
//
// AWS counts the publishes of a connection both ways together and drops what is
// over 100 a second. What comes down is taken off what may go up; the answer to a
// shadow request, which is sure to come, is taken off with the request.
//
// # Not used
//
// Topic aliases: AWS drops what is over its rate without a word, and if the
// dropped publish was the one that gave an alias a new topic, later messages
// would go to the old one. We send none and, by leaving out the maximum, allow
// none. Subscription identifiers: AWS cuts the connection for them. QoS 2: AWS
// has none. The proxy variables of the environment: a daemon's way out stands in
// its file.
package cloud

// Package conformance proves what the broker makes of the normative statements of MQTT
// 3.1.1 and MQTT 5.0. It holds tests only and exports nothing; nobody may import it.
//
// Its clients are raw bytes over mutual TLS, written from the standards and from
// nothing of ours; the server is the real broker with router, table, identities and
// sessions on disk. A statement is proven by the subtest that bears its number, such as
// TestConnect/MQTT5-3.1.2-24; MQTT3 stands for 3.1.1. The table statements.tsv has a line
// for each number of both standards and says which test that is, or why there is none.
// docs/conformance.md is written from it:
//
//	go test ./core/broker/conformance -run TestDocument -update
//
// The tests run in parallel on one broker; each has things and topics of its own.
package conformance

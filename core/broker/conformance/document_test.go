package conformance

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/conformance.md anew")

// TestDocument sees to it that docs/conformance.md is what the table says.
func TestDocument(t *testing.T) {
	all, err := readStatements(statementsTable)
	if err != nil {
		t.Fatal(err)
	}
	want := document(all)
	file := filepath.Join("..", "..", "..", "docs", "conformance.md")
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the table says; write it anew: go test ./core/broker/conformance -run TestDocument -update", file)
	}
}

// head is what the document says in words.
const head = `# Conformance with MQTT

This page is written by ` + "`go test ./core/broker/conformance -run TestDocument -update`" + `; do not edit it.

Every numbered normative statement of the two standards, [MQTT 3.1.1](https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html)
and [MQTT 5.0](https://docs.oasis-open.org/mqtt/mqtt/v5.0/os/mqtt-v5.0-os.html), is below: %s. A statement that
concerns a server has a test that bears its number and speaks raw bytes over mutual TLS to the real broker:

    go test ./core/broker/conformance -run 'TestLimits/MQTT5-3.1.2-24$'

MQTT 3.1 (protocol name MQIsdp, level 3) is not served: CONNACK 1.

## Identity

A client is the thing that its certificate names, and its client id must be that name. A client id that is not is answered by
CONNACK 2 (3.1.1) or 0x85 (5), a certificate that does not count by 5 or 0x87. So there is one session for each thing.

## Deviations

| statements | effect on clients |
|---|---|
`

// features says what is not offered, and what that means.
var features = []struct{ name, effect string }{
	{"empty client id", "It is refused like any other that is not the thing's name (CONNACK 2 or 0x85); no id is assigned."},
	{"shared subscriptions", "CONNACK of MQTT 5 says so. A filter that begins with `$share/` gets 0x9E (5) or 0x80 (3.1.1), with no local 0x82 and the close."},
	{"enhanced authentication", "A CONNECT with an authentication method gets CONNACK 0x8C, an AUTH the close with 0x82. The gateway sends none."},
	{"one PUBLISH for each subscription", "A message comes once for all subscriptions that overlap, with the identifiers of all."},
	{"WebSocket", "MQTT is served over TLS alone."},
}

const more = `
Besides, what the standard leaves open: the gateway sends no topic alias, no reason string and no user property of its own, no
server keep-alive, no response information and no server reference; the session expiry is taken as the client asks. It answers a
malformed CONNECT of MQTT 5 by CONNACK with the code. A length that a client writes with more bytes than need be is taken.

## Bounds

What is refused is counted in ` + "`greengate status`" + ` by the word in the last column.

| what | bound | beyond it | counted as |
|---|---|---|---|
| packet from a client | 4 MiB, in CONNACK of MQTT 5; CONNECT 256 KiB | closed, 0x95; a CONNECT without an answer | packet-too-large; bad-connect |
| user properties of a message | 16 KiB as they are in the packet: names, values, and 5 bytes for each | PUBACK or PUBREC 0x97, and the connection goes on; with QoS 0 the message is dropped | user-properties |
| user properties of a CONNECT; of its will | 16 KiB each | CONNACK 0x97 | bad-connect |
| QoS 2 messages of a client that it has not released | 1,024, in CONNACK of MQTT 5 | closed, 0x93 | receive-maximum |
| topic aliases of a client | 32, in CONNACK | closed, 0x94 | topic-alias |
| unacknowledged messages to a client | 256, or its receive maximum | the others wait | |
| what waits for a client, or for its acknowledgement | 64 MiB in memory, 128 MiB for all clients; 100,000 messages not yet sent | dropped for that client | queue-full |
| retained messages | 10,000, or 32 MiB in memory with the levels of their topics | delivered, not retained | retained-full |
| levels of a topic or filter | 256 | closed with 0x90; SUBACK 0x8F or 0x80 | topic-invalid; filter-invalid |
| filters of a session | 1,000, or 4 MiB in memory: about 300 bytes for each level, 600 for each filter, and its text twice | SUBACK 0x97 or 0x80 | filter-limit |
| filters of all sessions | 64 MiB in memory | the same | filter-limit |
| filters of one SUBSCRIBE | 1,000 | those after that: SUBACK 0x97 or 0x80 | filter-limit |
| SUBACK and UNSUBACK | the client's maximum packet size | closed, 0x95 | packet-too-large |
| answers that a client leaves unread | 256 KiB, for a minute | closed, 0x97 | answers-unread |

A filter that no row can feed, where the group is strict, is refused with 0x87 or 0x80 (strict-subscribe), one of a shared subscription with
0x9E or 0x80 (shared-subscription). A malformed packet (0x81) counts as malformed, one against the protocol (0x82) as protocol-error. Each
is told in the log, once in ten minutes for each device; the end of a connection is told with its reason.

Retained messages go to a new subscriber with QoS 0 as fast as it reads them, with higher QoS as all others do. One that has another message on
its topic meanwhile is left out, since that one came. A filter that stands in a SUBSCRIBE more than once brings them once, by the options of the
last; one that is subscribed again while they are under way brings them from the beginning.

A publish that no row of the table allows is acknowledged and reaches nobody; MQTT 5 is told 0x87. A message for which a target has
no room is refused with 0x97; MQTT 3.1.1 has no word for that, so the connection is closed and the client sends it again.

## Obligations of clients

They ask nothing of a server.

`

// document writes docs/conformance.md.
func document(all []statement) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, head, tally(all))
	effects(&b, all)
	b.WriteString("\n## Not offered\n\n| feature | statements | effect |\n|---|---|---|\n")
	for _, f := range features {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, numbers(all, func(s statement) bool { return s.kind == "none" && s.note == f.name }), f.effect)
	}
	b.WriteString(more)
	client := func(s statement) bool { return s.kind == "client" }
	fmt.Fprintf(&b, "%s.\n\n%s.\n", numbers(all, func(s statement) bool { return client(s) && s.number[0] == '3' }),
		numbers(all, func(s statement) bool { return client(s) && s.number[0] == '5' }))
	for _, s := range all {
		if client(s) && s.note != "an obligation of clients" {
			fmt.Fprintf(&b, "\nMQTT%s: %s.\n", s.number, s.note)
		}
	}
	b.WriteString("\n## The tests\n\n| test | statements | what it proves |\n|---|---|---|\n")
	deviates := map[string]bool{}
	for _, s := range all {
		deviates[s.number] = s.kind == "deviates"
	}
	for _, name := range chapterNames {
		for _, c := range chapters[name] {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", name, marked(c.numbers, deviates), c.what)
		}
	}
	b.WriteString("\n\\* deviates, see above\n")
	return b.Bytes()
}

// tally counts the statements of both versions by kind.
func tally(all []statement) string {
	count := map[string]int{}
	for _, s := range all {
		count[s.number[:1]+s.kind]++
		count[s.number[:1]]++
	}
	of := func(version, name string) string {
		return fmt.Sprintf("%d of %s (%d tested, %d deviate in part, %d of features that are not offered, %d obligations of clients)", count[version], name,
			count[version+"tested"], count[version+"deviates"], count[version+"none"], count[version+"client"])
	}
	return of("3", "3.1.1") + " and\n" + of("5", "5.0")
}

// effects writes the deviations, those with one effect together.
func effects(b *bytes.Buffer, all []statement) {
	done := map[string]bool{"": true}
	for _, s := range all {
		if !done[s.effect] {
			done[s.effect] = true
			fmt.Fprintf(b, "| %s | %s |\n", numbers(all, func(o statement) bool { return o.effect == s.effect }), s.effect)
		}
	}
}

func numbers(all []statement, ok func(statement) bool) string {
	var list []string
	for _, s := range all {
		if ok(s) {
			list = append(list, "MQTT"+s.number)
		}
	}
	return strings.Join(list, ", ")
}

func marked(numbers string, deviates map[string]bool) string {
	var list []string
	for n := range strings.FieldsSeq(numbers) {
		star := ""
		if deviates[n] {
			star = "\\*"
		}
		list = append(list, "MQTT"+n+star)
	}
	return strings.Join(list, ", ")
}

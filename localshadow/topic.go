package localshadow

import (
	"fmt"
	"strings"

	"greengate/core/message"
)

// Op is what a request asks for.
type Op uint8

// The requests of the shadow service.
const (
	OpGet Op = iota + 1
	OpUpdate
	OpDelete
)

var opNames = [...]string{OpGet: "get", OpUpdate: "update", OpDelete: "delete"}

// String returns the word that the topic has for the request.
func (o Op) String() string { return opNames[o] }

const topicPrefix = "$aws/things/"

// parseTopic reads $aws/things/THING/shadow/OP and, of a named shadow,
// $aws/things/THING/shadow/name/NAME/OP (AWS: reserved-topics, device-shadow-mqtt).
// What is left of the topic without /OP is base. The names are not checked.
func parseTopic(topic string) (thing, name, base string, op Op, ok bool) {
	rest, found := strings.CutPrefix(topic, topicPrefix)
	if !found {
		return
	}
	if thing, rest, found = strings.Cut(rest, "/"); !found {
		return
	}
	if rest, found = strings.CutPrefix(rest, "shadow/"); !found {
		return
	}
	if named, found := strings.CutPrefix(rest, "name/"); found {
		if name, rest, found = strings.Cut(named, "/"); !found || name == "" {
			return
		}
	}
	for o := OpGet; o <= OpDelete; o++ {
		if rest == o.String() {
			return thing, name, topic[:len(topic)-len(rest)-1], o, true
		}
	}
	return
}

// topicOf returns the base of a shadow's topics.
func topicOf(thing, name string) string {
	if name == "" {
		return topicPrefix + thing + "/shadow"
	}
	return topicPrefix + thing + "/shadow/name/" + name
}

// maxName is the longest shadow name in bytes (AWS: IoT data plane API,
// shadowName).
const maxName = 64

// CheckName returns an error that says what is wrong with the name of a named
// shadow: 1 to 64 of a-z A-Z 0-9 $ : _ - (AWS: IoT data plane API, shadowName;
// Greengrass refuses the $).
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("the name of a shadow has %d bytes (1 to %d are allowed)", len(name), maxName)
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("$:_-", c)) {
			return fmt.Errorf("the name of a shadow holds %q (allowed are a-z A-Z 0-9 $ : _ -)", c)
		}
	}
	return nil
}

// checkNames returns a rejection for names that no shadow can have.
func checkNames(thing, name string) *Rejection {
	if message.CheckThing(thing) != nil {
		return reject(400, msgThingName)
	}
	if name != "" && CheckName(name) != nil {
		return reject(400, msgShadowName)
	}
	return nil
}

// IsRequest tells whether a topic is one that Deliver takes.
func IsRequest(topic string) bool {
	_, _, _, _, ok := parseTopic(topic)
	return ok
}

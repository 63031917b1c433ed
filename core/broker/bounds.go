package broker

import (
	"greengate/core/message"
	"greengate/core/router"
)

// Bounds of what waits for one session, and for all together: what is queued, and what was
// sent and not acknowledged.
const (
	maxQueued      = 100_000 // messages in the queue
	maxQueuedBytes = 64 << 20
	maxAllQueued   = 128 << 20 // and share
	// maxWindow is how many messages are unacknowledged at once; a client's
	// receive maximum lowers it. highWater is how much may lie in the out
	// buffer before messages wait in the queue (QoS 1, 2) or are dropped (QoS 0).
	maxWindow = 256
	highWater = 1 << 20
)

// Bounds of the retained messages.
const (
	maxRetained      = 10_000
	maxRetainedBytes = 32 << 20 // and share
)

// Bounds of subscriptions, in bytes with what their topic levels take.
const (
	maxFilters        = 1000     // of one session, and those of one SUBSCRIBE that are looked at
	maxFilterBytes    = 4 << 20  // of one session
	maxAllFilterBytes = 64 << 20 // of all sessions, and share
)

// share is a bound in bytes, of a process that may have so many times more of memory, if
// that is limited: else the kernel would end it before it meets the bound, and again when
// it has read from the disk what waited.
func share(bound, ofMemory int64) int64 {
	if ofMemory > 0 {
		return min(bound, ofMemory)
	}
	return bound
}

// What things take in memory, in bytes, near enough for a bound.
const (
	messageCost  = 200 // of a message without its texts
	propertyCost = 64  // of a user property: its two strings, and its JSON on the way to the disk
)

// sizeOf is what a kept message costs, in bytes, near enough for a bound.
func sizeOf(m *message.Message) int {
	n := headSize(m) + len(m.Payload)
	if p := m.Properties; p != nil {
		n += messageCost + propertiesSize(p) + propertyCost*len(p.User)
	}
	return n
}

// headSize is what the head of a message costs, in bytes.
func headSize(m *message.Message) int { return len(m.Topic) + messageCost }

// Reasons for what is refused at the door of a client that is let in.
const (
	userProperties router.Reason = "user-properties" // more than message.MaxUserProperties
	filterLimit    router.Reason = "filter-limit"    // of a session, or of all: number or bytes
	filterBad      router.Reason = "filter-invalid"
	filterShared   router.Reason = "shared-subscription"
	filterStrict   router.Reason = "strict-subscribe"
	answersUnread  router.Reason = "answers-unread" // for maxStuck
)

// faultReasons are those for which a client is cut, by the code that it is told.
var faultReasons = map[code]router.Reason{
	malformed:          "malformed",
	protocolError:      "protocol-error",
	topicNameInvalid:   "topic-invalid",
	receiveMaxExceeded: "receive-maximum",
	topicAliasInvalid:  "topic-alias",
	packetTooLarge:     "packet-too-large",
}

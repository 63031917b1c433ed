package cloud

import (
	"fmt"
	"strings"

	"greengate/core/message"
)

// Check says whether a message could ever be sent, whatever the link does: its
// topic is legal, at most 256 bytes long and 7 slashes deep, its payload at most
// 128 KiB, and the packet no larger than the cloud said it takes. The error is a
// *BadTopic or a *TooLarge. Properties add to a packet, so Send can still say
// *TooLarge.
func (l *Link) Check(topic string, payload int) error {
	if err := checkTopic(topic, l.o.Limits); err != nil {
		return err
	}
	if limit := l.o.Limits.Payload; payload > limit {
		return &TooLarge{"payload", payload, limit}
	}
	// Fixed header, topic, packet id, empty properties.
	return l.checkPacket(5 + 2 + len(topic) + 2 + 1 + payload)
}

func (l *Link) checkPacket(size int) error {
	if limit := int(l.maximumPacket.Load()); limit > 0 && size > limit {
		return &TooLarge{"packet", size, limit}
	}
	return nil
}

func checkTopic(topic string, limits Limits) error {
	if err := message.CheckTopic(topic); err != nil {
		return &BadTopic{topic, "is none: " + err.Error()}
	}
	counted := uncounted(topic)
	if n := strings.Count(counted, "/"); n > limits.Slashes {
		return &BadTopic{topic, fmt.Sprintf("has %d slashes, more than the %d that AWS allows", n, limits.Slashes)}
	}
	if len(counted) > limits.Topic {
		return &BadTopic{topic, fmt.Sprintf("is %d bytes long, more than the %d that AWS allows", len(counted), limits.Topic)}
	}
	return nil
}

// uncounted takes off what AWS does not count in a topic: the prefix
// `$aws/rules/RULE/` of Basic Ingest (quotas page).
func uncounted(topic string) string {
	const prefix = "$aws/rules/"
	if rest, ok := strings.CutPrefix(topic, prefix); ok {
		if _, rest, ok = strings.Cut(rest, "/"); ok {
			return rest
		}
	}
	return topic
}

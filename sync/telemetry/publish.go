package telemetry

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"greengate/core/message"
)

// The user properties of a message; see the package comment.
const (
	propertyTime     = "gg-time"
	propertyClock    = "gg-clock"
	propertyBoot     = "gg-boot"
	propertyMono     = "gg-mono"
	propertySeq      = "gg-seq"
	propertySource   = "gg-source"
	propertyCount    = "gg-count"
	propertyTimeLast = "gg-time-last"
	propertySeqLast  = "gg-seq-last"
)

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// publish makes the publish of a flight. An error means that it can never be sent.
func (s *Spool) publish(f *flight) (*Publish, error) {
	first, last := f.items[0], f.items[len(f.items)-1]
	properties := &message.Properties{}
	if first.properties != nil {
		if err := json.Unmarshal(first.properties, properties); err != nil {
			return nil, fmt.Errorf("read the properties of a message: %w", err)
		}
	}
	properties.User = slices.Grow(properties.User, 9) // as many as are added
	stamp := s.clock.when(first.seq, first.mono, first.wall, first.flags)
	add := func(name, value string) {
		properties.User = append(properties.User, message.UserProperty{Name: name, Value: value})
	}
	add(propertyTime, stamp.Time.Format(timeFormat))
	add(propertyClock, stamp.Clock)
	add(propertyBoot, stamp.Boot)
	add(propertyMono, strconv.FormatInt(int64(stamp.Mono), 10))
	add(propertySeq, strconv.FormatInt(first.seq, 10))
	add(propertySource, first.source)
	if f.array {
		add(propertyCount, strconv.Itoa(len(f.items)))
		add(propertyTimeLast, s.clock.when(last.seq, last.mono, last.wall, last.flags).Time.Format(timeFormat))
		add(propertySeqLast, strconv.FormatInt(last.seq, 10))
	}
	return &Publish{
		Topic: first.topic, Payload: f.payload(), QoS: 1, Retain: first.flags&flagRetain != 0,
		Expiry: s.left(f), Properties: properties,
	}, nil
}

// payload joins the payloads of a batch.
func (f *flight) payload() []byte {
	if !f.array {
		return f.items[0].payload
	}
	size := 2
	for _, it := range f.items {
		size += 1 + len(it.payload)
	}
	array := append(make([]byte, 0, size), '[')
	for i, it := range f.items {
		if i > 0 {
			array = append(array, ',')
		}
		array = append(array, it.payload...)
	}
	return append(array, ']')
}

// left is how long the message that lives longest still lives; 0: for ever.
func (s *Spool) left(f *flight) (left time.Duration) {
	for _, it := range f.items {
		if it.ttl == 0 {
			return 0
		}
		age := s.clock.age(it.seq, it.mono, it.wall, it.flags)
		left = max(left, time.Duration(it.ttl)*time.Millisecond-age, time.Millisecond)
	}
	return left
}

package telemetry

import (
	"encoding/binary"
	"hash/crc32"
)

// A message on the disk is its seq, a head and a body. The body is source, topic,
// properties (JSON, empty for none) and payload, one behind the other; in a spool that is
// encrypted it is a box with these. The head has at
//
//	 0  sum    CRC-32C of the head from route on, and of the body
//	 4  prev   seq of the message before of the same source and topic: an upper bound
//	           where it is not known, 0 when there is none
//	12  route  id in the table routes
//	16  mono   time since the boot, ns
//	24  wall   what the clock said, ns
//	32  flags
//	33  ttl in ms, 0 without end, and the lengths of source, topic and properties
//
// all big-endian, the last line as uvarints. Two values, which the goroutine of the
// publisher makes, cost the writer less than half of what a column for each did.
const (
	prevAt   = 4
	summedAt = 12
	routeAt  = 12
	monoAt   = 16
	wallAt   = 24
	flagsAt  = 32
	restAt   = 33
	maxHead  = restAt + 4*binary.MaxVarintLen64
)

// The flags of a message.
const (
	flagRetain  = 1 << iota
	flagSynced  // the clock was right when it came
	flagBodySum // written by the first schema: the sum is that of the body alone
	flagSealed  // the body is a box: see seal.go
)

// row is a message as it goes onto the disk: head and body, one behind the other.
type row struct {
	bytes []byte
	body  int // where it begins
}

// newRow writes a message down. Its prev is to be set.
func newRow(source, topic string, properties, payload []byte, h head) row {
	var front [maxHead]byte
	h.source, h.topic, h.properties = len(source), len(topic), len(properties)
	n := h.put(&front)
	b := make([]byte, 0, n+len(source)+len(topic)+len(properties)+len(payload))
	b = append(b, front[:n]...)
	b = append(b, source...)
	b = append(b, topic...)
	b = append(b, properties...)
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b, checksum(b[:n], b[n:]))
	return row{b, n}
}

func (r row) setPrev(seq int64) { binary.BigEndian.PutUint64(r.bytes[prevAt:], uint64(seq)) }

// head is what is known of a message without its body.
type head struct {
	prev       int64
	route      int64
	mono, wall int64
	ttl        int64 // ms
	flags      int

	source, topic, properties int // lengths
}

// put writes all but sum and prev, and returns how many bytes the head takes.
func (h *head) put(b *[maxHead]byte) int {
	order := binary.BigEndian
	order.PutUint32(b[routeAt:], uint32(h.route))
	order.PutUint64(b[monoAt:], uint64(h.mono))
	order.PutUint64(b[wallAt:], uint64(h.wall))
	b[flagsAt] = byte(h.flags)
	n := restAt
	for _, v := range [...]uint64{uint64(h.ttl), uint64(h.source), uint64(h.topic), uint64(h.properties)} {
		n += binary.PutUvarint(b[n:], v)
	}
	return n
}

// parseHead reads a head whose body has so many bytes. Of one that is damaged it makes
// what can be made, and takes the whole body for payload.
func parseHead(b []byte, body int) (h head, sound bool) {
	if len(b) < restAt {
		return h, false
	}
	order := binary.BigEndian
	h = head{
		prev:  int64(order.Uint64(b[prevAt:])),
		route: int64(order.Uint32(b[routeAt:])),
		mono:  int64(order.Uint64(b[monoAt:])),
		wall:  int64(order.Uint64(b[wallAt:])),
		flags: int(b[flagsAt]),
	}
	var rest [4]uint64
	b = b[restAt:]
	for i := range rest {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > 1<<62 {
			return h, false
		}
		rest[i], b = v, b[n:]
	}
	left := uint64(body)
	for _, length := range rest[1:] {
		if length > left {
			return h, false
		}
		left -= length
	}
	h.ttl = int64(rest[0])
	h.source, h.topic, h.properties = int(rest[1]), int(rest[2]), int(rest[3])
	return h, true
}

// size is what a message with that many bytes of body counts as: topic and payload.
func (h *head) size(body int) int64 { return int64(body - h.source - h.properties) }

// newItem makes of a row what is in hand. What is in a box is for keys.open.
func newItem(seq int64, lane laneID, front, body []byte) *item {
	h, sound := parseHead(front, len(body))
	it := &item{seq: seq, lane: lane, prev: h.prev, mono: h.mono, wall: h.wall, ttl: h.ttl, flags: h.flags, routeID: h.route, bytes: int64(len(front) + len(body))}
	it.damaged = !sound || binary.BigEndian.Uint32(front) != checksum(front, body)
	if h.flags&flagSealed != 0 {
		it.front, it.sealed, it.counts = front, body, h.size(len(body))
		it.damaged = it.damaged || !it.sealed.sound()
		return it
	}
	it.fill(body, h.source, h.topic, h.properties)
	return it
}

// fill takes a body apart. The lengths are those of its parts.
func (it *item) fill(body []byte, source, topic, properties int) {
	it.source, body = string(body[:source]), body[source:]
	it.topic, body = string(body[:topic]), body[topic:]
	if properties > 0 {
		it.properties = body[:properties:properties]
	}
	if it.payload = body[properties:]; it.payload == nil {
		it.payload = []byte{} // to SQLite nil is NULL
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum covers all of a message that the cloud gets: SQLite does not see a bit that
// flips within a value. front is a head that is long enough.
func checksum(front, body []byte) uint32 {
	var sum uint32
	if front[flagsAt]&flagBodySum == 0 {
		sum = crc32.Update(0, castagnoli, front[summedAt:])
	}
	return crc32.Update(sum, castagnoli, body)
}

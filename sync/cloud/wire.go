package cloud

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// A dialect writes and reads the packets of one version of MQTT. It has no
// state.
type dialect interface {
	connect(c connect) []byte
	publish(p *Publish) []byte // at QoS 1; its packet id is for number to write
	puback(id uint16) []byte
	subscribe(id uint16, subs []Subscription) []byte
	unsubscribe(id uint16, filters []string) []byte
	ping() []byte
	disconnect(code byte) []byte
	// decode reads a whole packet, fixed header included: one of the types
	// below, or an error when a server may not send it.
	decode(packet []byte) (any, error)
}

func newDialect(version int) dialect {
	if version == MQTT311 {
		return mqtt311{}
	}
	return mqtt5{}
}

// What we say in CONNECT.
type connect struct {
	id             string
	keepAlive      time.Duration
	clean          bool
	sessionExpiry  time.Duration
	receiveMaximum int
	maximumPacket  int // bytes
}

// What the cloud says.
type (
	connack struct {
		session          bool // the cloud remembers us
		code             byte // of MQTT 5, whatever the version
		reason           string
		keepAlive        time.Duration // 0: ours stands
		receiveMaximum   int
		maximumPacket    int // 0: not bounded
		noRetain, noQoS1 bool
	}
	received struct { // PUBLISH
		id  uint16 // 0 at QoS 0
		msg *Publish
	}
	puback struct {
		id     uint16
		code   byte
		reason string
	}
	suback struct {
		id     uint16
		codes  []byte
		reason string
	}
	unsuback   struct{ id uint16 }
	pingresp   struct{}
	disconnect struct {
		code   byte
		reason string
	}
)

// readPacket reads a whole packet into a new slice, if it is no longer than max
// bytes. A cloud that is not what it says may not make us reserve more.
func readPacket(r *bufio.Reader, max int) ([]byte, error) {
	var header [5]byte
	var err error
	if header[0], err = r.ReadByte(); err != nil {
		return nil, err
	}
	length, n := 0, 1
	for shift := 0; ; shift += 7 {
		if n == len(header) {
			return nil, fmt.Errorf("read a packet: its length is malformed")
		}
		if header[n], err = r.ReadByte(); err != nil {
			return nil, unexpected(err)
		}
		length |= int(header[n]&0x7F) << shift
		n++
		if header[n-1] < 0x80 {
			break
		}
	}
	if length > max {
		return nil, fmt.Errorf("read a packet: %d bytes are more than the %d allowed", length, max)
	}
	packet := make([]byte, n+length)
	copy(packet, header[:n])
	if _, err := io.ReadFull(r, packet[n:]); err != nil {
		return nil, unexpected(err)
	}
	return packet, nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// number writes the packet id into a PUBLISH at QoS 1: after the fixed header and
// the topic, in all versions.
func number(packet []byte, id uint16) {
	at := 2 // after the first byte of the remaining length
	for packet[at-1] >= 0x80 {
		at++
	}
	at += 2 + int(binary.BigEndian.Uint16(packet[at:]))
	binary.BigEndian.PutUint16(packet[at:], id)
}

// decode is d.decode for input that nobody vouches for: paho's decoders index
// where a malformed packet has nothing.
func decode(d dialect, packet []byte) (p any, err error) {
	defer func() {
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("read a packet: it is malformed (%v)", r)
		}
	}()
	p, err = d.decode(packet)
	if r, ok := p.(received); ok && r.msg.QoS > 0 && r.id == 0 {
		return nil, fmt.Errorf("read a packet: it is malformed (no packet id)") // [MQTT-2.2.1-3]
	}
	return p, err
}

// seconds rounds up, for a wait that is cut to 0 s would mean "never" or
// "at once".
func seconds(d, max time.Duration) uint32 {
	return uint32((min(d, max) + time.Second - 1) / time.Second)
}

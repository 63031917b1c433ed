package broker

import (
	"io"
	"net"
	"sync"
)

// Sizes of the input buffer, in bytes. A silent connection holds the small one; one
// that fills it gets a large one from the pool for as long as it does, which takes a
// whole record of TLS beside the begin of a packet.
const (
	smallInput = 512
	largeInput = 20 << 10
)

var largeInputs = sync.Pool{New: func() any { b := make([]byte, largeInput); return &b }}

// input gathers bytes until a packet is whole. The packet that it returns
// stays valid until the next call.
type input struct {
	nc   net.Conn
	buf  []byte
	r, w int // buf[r:w] is read from the network and not handed out
}

// packet returns the next whole packet, or nil when more bytes are needed.
// limit bounds the size of a packet, in bytes.
func (in *input) packet(limit int) ([]byte, error) {
	b := in.buf[in.r:in.w]
	if len(b) < 2 {
		return nil, nil
	}
	remaining, size := 0, 0
	for i := 1; ; i++ {
		if i == maxHeader {
			return nil, malformed // a remaining length of five bytes [MQTT 1.5.5]
		}
		if i == len(b) {
			return nil, nil
		}
		remaining |= int(b[i]&0x7F) << (7 * (i - 1))
		if b[i] < 0x80 {
			size = i + 1
			break
		}
	}
	total := size + remaining
	if total > limit {
		return nil, packetTooLarge
	}
	if total > len(b) {
		return nil, nil
	}
	in.r += total
	return b[:total:total], nil
}

// move carries the unread bytes into another buffer.
func (in *input) move(buf []byte) {
	in.w = copy(buf, in.buf[in.r:in.w])
	in.r = 0
	if len(in.buf) == largeInput {
		old := in.buf
		largeInputs.Put(&old)
	}
	in.buf = buf
}

// fill reads what the network has.
func (in *input) fill() error {
	switch {
	case in.r == in.w:
		in.r, in.w = 0, 0
		if len(in.buf) > largeInput || in.buf == nil {
			in.move(make([]byte, smallInput))
		}
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	}
	if in.w == len(in.buf) {
		// A large packet gets its room as its bytes come, not as it claims.
		in.move(make([]byte, 2*len(in.buf)))
	}
	n, err := in.nc.Read(in.buf[in.w:])
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	in.w += n
	if n > 0 {
		in.resize(n)
		return nil
	}
	return err
}

// resize fits the buffer to what the last read brought.
func (in *input) resize(n int) {
	switch {
	case len(in.buf) < largeInput && in.w == len(in.buf):
		in.move(*largeInputs.Get().(*[]byte))
	case len(in.buf) == largeInput && in.r == 0 && in.w == n && n < smallInput/2:
		in.move(make([]byte, smallInput))
	}
}

// release gives the buffer back at the end of the connection.
func (in *input) release() {
	in.r, in.w = 0, 0
	in.move(nil)
}

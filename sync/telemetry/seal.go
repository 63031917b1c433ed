package telemetry

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// What waits on the disk can be encrypted, so that a stolen card does not tell it: source,
// topic, properties and payload of each message, with the lengths of the first three. In
// clear stay when it came, its row of the table, how long it lives, and how large it is:
// what is needed to count, to expire and to make room without the key.
//
// A box is
//
//	 0  id       of the key, 4 bytes
//	 4  salt     of the start of the gateway, 12 bytes
//	16  counter  within that start, 8 bytes
//	24  what is encrypted by AES-256-GCM, and the 16 bytes that prove it
//
// AES-GCM is broken by two messages under one key and nonce. A nonce by seq would come
// twice: a commit that failed has its pages in the WAL, and a copy or a backup that is
// restored goes on from where it stood. So each start encrypts under a key of its own,
// derived (HKDF-SHA256, RFC 5869) from the key's file and a salt that the start draws, and
// its nonce only counts: whatever becomes of the database, no start can know what another
// has drawn. Two starts of 2^32 draw the same 96 bits with a chance of 2^-32, and 2^64
// messages are in no start. To draw each nonce by itself would end after 2^32 messages
// (NIST SP 800-38D, 8.3), and needs a random number for each.
//
// Bound with a message are its seq, its lane and its head: nobody can put it in another
// place, or its body under another head. Who can write the card can still delete messages,
// bring back one that has left, or add some in clear.
const (
	idSize      = 4
	saltSize    = 12
	counterSize = 8
	nonceSize   = 12
	boxHead     = idSize + saltSize + counterSize
	boxTail     = 16 // of AES-GCM
	boxSize     = boxHead + boxTail

	// sealCost is about what a sealed message takes more on the disk.
	sealCost = boxSize + 3
)

type (
	salt [saltSize]byte
	box  []byte
)

// sound reports whether it can be one.
func (b box) sound() bool { return len(b) >= boxSize }

func (b box) key() string { return hex.EncodeToString(b[:idSize]) }
func (b box) salt() salt  { return salt(b[idSize : idSize+saltSize]) }

// sealer encrypts the messages of this start. But for key it belongs to the functions of
// the database.
type sealer struct {
	key     *Key
	aead    cipher.AEAD
	begin   [idSize + saltSize]byte // of each box
	counter uint64                  // of the last box
	nonce   [nonceSize]byte
}

func newSealer(k *Key) (*sealer, error) {
	s := &sealer{key: k}
	id, err := hex.DecodeString(k.id)
	if err != nil {
		return nil, err
	}
	copy(s.begin[:], id)
	if _, err := rand.Read(s.begin[idSize:]); err != nil {
		return nil, err
	}
	s.aead, err = k.derive(salt(s.begin[idSize:]))
	return s, err
}

// box appends a box with the parts to dst.
func (s *sealer) box(dst, bound []byte, parts ...[]byte) []byte {
	s.counter++
	counter := s.nonce[nonceSize-counterSize:]
	binary.BigEndian.PutUint64(counter, s.counter)
	dst = append(dst, s.begin[:]...)
	dst = append(dst, counter...)
	from := len(dst)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return s.aead.Seal(dst[:from], s.nonce[:], dst[from:], bound)
}

// row appends the head of a message, and its body as a box. It returns where the head and
// the body begin.
func (s *sealer) row(dst []byte, r row, seq int64, lane laneID) (all []byte, head, body int) {
	plain := r.bytes[r.body:]
	h, _ := parseHead(r.bytes[:r.body], len(plain)) // it was made by newRow
	var lengths [3 * binary.MaxVarintLen64]byte
	n := 0
	for _, v := range [...]int{h.source, h.topic, h.properties} {
		n += binary.PutUvarint(lengths[n:], uint64(v))
	}
	// What a message counts as stays the same: all else in the box passes for its source.
	counts := int(h.size(len(plain)))
	h.flags |= flagSealed
	h.source, h.topic, h.properties = boxSize+n+len(plain)-counts, 0, 0
	var front [maxHead]byte
	size := h.put(&front)
	copy(front[prevAt:routeAt], r.bytes[prevAt:routeAt])
	head = len(dst)
	dst = append(dst, front[:size]...)
	body = len(dst)
	dst = s.box(dst, bound(seq, lane, front[:size]), lengths[:n], plain)
	binary.BigEndian.PutUint32(dst[head:], checksum(dst[head:body], dst[body:]))
	return dst, head, body
}

// written returns head and body of a message as they go onto the disk. They hold until
// in.sealed is used again.
func (in *intake) written(e *entry, lane laneID) (head, body []byte) {
	seal := in.s.keys.seal.Load()
	if seal == nil {
		return e.row.bytes[:e.row.body], e.row.bytes[e.row.body:]
	}
	all, from, middle := seal.row(in.sealed, e.row, e.seq, lane)
	in.sealed = all
	return all[from:middle], all[middle:]
}

// bound is what a message is bound to: its place, and its head without its sum.
func bound(seq int64, lane laneID, front []byte) []byte {
	b := make([]byte, 0, 9+maxHead)
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	b = append(b, byte(lane))
	return append(b, front[prevAt:]...)
}

// boundCause is what the reason of a message in quarantine is bound to.
func boundCause(seq int64) []byte {
	return binary.BigEndian.AppendUint64([]byte("cause"), uint64(seq))
}

// unseal makes of an item in a box one in hand. An error says that it is not what was
// written.
func (it *item) unseal(k *Key) error {
	plain, err := k.open(it.sealed, bound(it.seq, it.lane, it.front))
	if err != nil {
		return err
	}
	var lengths [3]int
	for i := range lengths {
		v, n := binary.Uvarint(plain)
		if n <= 0 || v > uint64(len(plain)-n) {
			return errSeal
		}
		lengths[i], plain = int(v), plain[n:]
	}
	if lengths[0]+lengths[1]+lengths[2] > len(plain) {
		return errSeal
	}
	it.fill(plain, lengths[0], lengths[1], lengths[2])
	it.front, it.sealed = nil, nil
	return nil
}

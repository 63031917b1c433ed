package telemetry

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Key is what the messages of a spool are encrypted with: the bytes of a file, at least
// 32, drawn at random. It is never used itself: what encrypts is derived from it.
type Key struct {
	id     string // 8 hex digits, which say nothing of the key
	secret []byte
	names  cipher.Block // of streams

	mu     sync.Mutex
	opened map[salt]cipher.AEAD // guarded by mu: those that were needed lately
}

const (
	leastKey    = 32   // bytes
	mostKey     = 4096 // of the file
	maxOpened   = 64   // each about 1 KiB
	leastValues = 16   // different bytes: 32 random ones have 30, and never so few
)

// BadKey says why a file is no key.
type BadKey struct{ File, Problem string }

func (e *BadKey) Error() string { return fmt.Sprintf("%s %s (%s)", e.File, e.Problem, e.Hint()) }

// Hint is what to do about it.
func (e *BadKey) Hint() string { return "make one: head -c 32 /dev/urandom > FILE" }

// ReadKey reads the file of a key: at least 32 random bytes, as they are, or written in
// hex or base64. The error is fs.ErrNotExist when there is no file, and *BadKey when that
// is no key.
func ReadKey(file string) (*Key, error) {
	info, err := os.Stat(file) // a device or pipe gives other bytes each time, or none
	if err != nil {
		return nil, fmt.Errorf("read the key of the spool: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &BadKey{file, "is not a file"}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read the key of the spool: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostKey+1))
	if err != nil {
		return nil, fmt.Errorf("read the key of the spool: %w", err)
	}
	secret, problem := parseKey(text)
	if problem != "" {
		return nil, &BadKey{file, problem}
	}
	return newKey(secret)
}

// parseKey finds the bytes of a key in its file, or says what is wrong with it.
func parseKey(text []byte) (secret []byte, problem string) {
	if len(text) == 0 {
		return nil, "is empty"
	}
	if len(text) > mostKey {
		return nil, fmt.Sprintf("has more than %d bytes, which no key has", mostKey)
	}
	secret = text
	if trimmed := bytes.TrimSpace(text); isPrintable(trimmed) {
		if secret = decoded(trimmed); secret == nil {
			return nil, "is a text, which is too easy to guess: a key is 32 random bytes, as they are or in base64 or hex"
		}
	}
	if len(secret) < leastKey {
		return nil, fmt.Sprintf("has %d bytes of key, and needs %d", len(secret), leastKey)
	}
	var seen [256]bool
	values := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			values++
		}
	}
	if values < leastValues {
		return nil, fmt.Sprintf("is not random: it has %d different bytes", values)
	}
	return secret, ""
}

// isPrintable reports whether somebody has typed it: random bytes are not.
func isPrintable(text []byte) bool {
	return bytes.IndexFunc(text, func(r rune) bool { return (r < ' ' || r > '~') && r != '\n' && r != '\r' && r != '\t' }) < 0
}

// decoded reads hex or base64, in one line or several; nil: it is neither.
func decoded(text []byte) []byte {
	plain := string(bytes.Join(bytes.Fields(text), nil))
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if secret, err := decode(plain); err == nil {
			return secret
		}
	}
	return nil
}

// The uses of what is derived from a key (RFC 5869, "info").
const (
	useID       = "greengate spool: key id"
	useNames    = "greengate spool: names of streams"
	useMessages = "greengate spool: messages, AES-256-GCM"
)

func newKey(secret []byte) (*Key, error) {
	k := &Key{secret: bytes.Clone(secret), opened: map[salt]cipher.AEAD{}}
	id, err := hkdf.Key(sha256.New, k.secret, nil, useID, idSize)
	if err != nil {
		return nil, err
	}
	k.id = hex.EncodeToString(id)
	names, err := hkdf.Key(sha256.New, k.secret, nil, useNames, 32)
	if err != nil {
		return nil, err
	}
	k.names, err = aes.NewCipher(names)
	return k, err
}

// ID names the key in words for an operator.
func (k *Key) ID() string { return k.id }

// derive returns what encrypts and decrypts the messages of one start.
func (k *Key) derive(of salt) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k.secret, of[:], useMessages, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// aead is derive that remembers.
func (k *Key) aead(of salt) (cipher.AEAD, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.opened[of]; a != nil {
		return a, nil
	}
	a, err := k.derive(of)
	if err != nil {
		return nil, err
	}
	if len(k.opened) >= maxOpened {
		clear(k.opened)
	}
	k.opened[of] = a
	return a, nil
}

// name hides the hash of a stream, by which one could try topics out.
func (k *Key) name(hash int64) int64 {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(hash))
	k.names.Encrypt(b[:], b[:])
	return int64(binary.BigEndian.Uint64(b[:]))
}

var errSeal = errors.New("somebody has changed it: its seal does not fit")

// open returns what a box holds. It needs the bytes with which it was bound.
func (k *Key) open(b box, bound []byte) ([]byte, error) {
	a, err := k.aead(b.salt())
	if err != nil {
		return nil, err
	}
	var nonce [nonceSize]byte
	copy(nonce[nonceSize-counterSize:], b[idSize+saltSize:boxHead])
	plain, err := a.Open(nil, nonce[:], b[boxHead:], bound)
	if err != nil {
		return nil, errSeal
	}
	return plain, nil
}

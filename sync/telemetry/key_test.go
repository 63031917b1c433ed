package telemetry

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aKey are bytes that look drawn.
func aKey(seed byte) []byte {
	k := make([]byte, 32)
	for i := range k {
		k[i] = byte(i)*151 + seed
	}
	return k
}

func TestReadKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "spool.key")
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := aKey(7)
	ids := map[string]bool{}
	for _, text := range []string{
		string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)) + "\n",
		base64.StdEncoding.EncodeToString(secret) + "\r\n", base64.RawURLEncoding.EncodeToString(secret),
		hex.EncodeToString(secret[:16]) + "\n" + hex.EncodeToString(secret[16:]) + "\n",
	} {
		write([]byte(text))
		k, err := ReadKey(file)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		ids[k.ID()] = true
		if strings.Contains(hex.EncodeToString(secret), k.ID()) {
			t.Error("the id has a part of the key")
		}
	}
	if len(ids) != 1 {
		t.Errorf("one key in several forms has the ids %v", ids)
	}
	write(append([]byte{0}, secret...))
	if k, err := ReadKey(file); err != nil || ids[k.ID()] {
		t.Errorf("another key: %v", err)
	}
	for text, want := range map[string]string{
		"":                                    "is empty",
		string(secret[:31]):                   "has 31 bytes of key, and needs 32",
		hex.EncodeToString(secret[:16]):       "has 16 bytes of key",
		"correct horse battery staple, again": "is a text, which is too easy to guess",
		string(make([]byte, 32)):              "is not random",
		strings.Repeat("ab", 32):              "is not random",
		string(bytes.Repeat(secret, 200)):     "has more than 4096 bytes",
	} {
		write([]byte(text))
		_, err := ReadKey(file)
		if bad := (*BadKey)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "head -c 32 /dev/urandom > FILE") {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadKey(filepath.Dir(file)); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := ReadKey("/dev/urandom"); err == nil {
		t.Error("a device gives another key each time, and was taken")
	}
	if _, err := ReadKey(file + ".no"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// sealed is a message in a box.
func sealed(t *testing.T, s *sealer, seq int64, lane laneID, payload string) (front, body []byte) {
	t.Helper()
	r := newRow("function:f", "a/secret", []byte(`{"x":1}`), []byte(payload), head{route: 3, mono: 1 << 40, ttl: 5000, flags: flagRetain})
	r.setPrev(4)
	all, from, middle := s.row([]byte("before"), r, seq, lane)
	return all[from:middle], all[middle:]
}

func mustKey(t *testing.T, seed byte) *Key {
	t.Helper()
	k, err := newKey(aKey(seed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSealer(t *testing.T, k *Key) *sealer {
	t.Helper()
	s, err := newSealer(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What is sealed is read by its key alone, in its place alone, and as it is alone.
func TestSealedRow(t *testing.T) {
	key := mustKey(t, 1)
	front, body := sealed(t, mustSealer(t, key), 9, 1, "payload")
	open := func(seq int64, lane laneID, front, body []byte, known ...*Key) *item {
		k := &keys{ring: map[string]*Key{}}
		for _, key := range known {
			k.ring[key.id] = key
		}
		it := newItem(seq, lane, front, body)
		k.open(it)
		return it
	}
	it := open(9, 1, front, body, mustKey(t, 2), key)
	if !it.readable() || it.source != "function:f" || it.topic != "a/secret" || string(it.properties) != `{"x":1}` || string(it.payload) != "payload" ||
		it.prev != 4 || it.routeID != 3 || it.ttl != 5000 || it.flags&flagRetain == 0 {
		t.Errorf("read %+v", it)
	}
	if h, sound := parseHead(front, len(body)); !sound || h.size(len(body)) != int64(len("a/secret"+"payload")) || it.size() != h.size(len(body)) {
		t.Errorf("it counts as %d, its head as %d", it.size(), h.size(len(body)))
	}
	for _, clear := range []string{"function", "secret", "payload", `"x"`} {
		if bytes.Contains(front, []byte(clear)) || bytes.Contains(body, []byte(clear)) {
			t.Errorf("%q can be read", clear)
		}
	}
	if it := open(9, 1, front, body, mustKey(t, 2)); it.locked != key.id || it.damaged || it.readable() || it.size() != 15 {
		t.Errorf("with another key: %+v", it)
	}
	for name, it := range map[string]*item{
		"another seq":  open(10, 1, front, body, key),
		"another lane": open(9, 0, front, body, key),
	} {
		if !it.forged || it.readable() || it.topic != "" {
			t.Errorf("%s: %+v", name, it)
		}
	}
	for bit := range 8 * (len(front) + len(body)) {
		all := append(bytes.Clone(front), body...)
		all[bit/8] ^= 1 << (bit % 8)
		if bit < 8*prevAt || all[flagsAt]&flagSealed == 0 {
			continue // the sum, or it does not claim to be in a box
		}
		binary.BigEndian.PutUint32(all, checksum(all[:len(front)], all[len(front):])) // as somebody does who knows of it
		if it := open(9, 1, all[:len(front)], all[len(front):], key); it.readable() {
			t.Errorf("bit %d flipped: %+v", bit, it)
		}
	}
	for n := range len(body) {
		if it := open(9, 1, front, body[:n], key); it.readable() {
			t.Errorf("the first %d bytes are taken for whole", n)
		}
	}
}

// No two messages are ever under one nonce of one key: not within a start, nor in two of
// them that begin at the same place.
func TestNonce(t *testing.T) {
	key := mustKey(t, 1)
	seen := map[string]bool{}
	for range 20 {
		s := mustSealer(t, key)
		for range 20 {
			_, body := sealed(t, s, 9, 1, "the same")
			if nonce := string(body[idSize:boxHead]); seen[nonce] {
				t.Fatalf("%x came twice", nonce)
			} else {
				seen[nonce] = true
			}
			if bytes.Contains(body, []byte("the same")) {
				t.Fatal("it is in clear")
			}
		}
	}
}

// One message of 200 bytes into a box and out of it.
func BenchmarkSeal(b *testing.B) {
	key, err := newKey(aKey(1))
	if err != nil {
		b.Fatal(err)
	}
	s, err := newSealer(key)
	if err != nil {
		b.Fatal(err)
	}
	r := newRow("device17", "sensors/device17", nil, make([]byte, 200), head{route: 3})
	var buf []byte
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			buf, _, _ = s.row(buf[:0], r, 9, 1)
		}
	})
	all, from, middle := s.row(nil, r, 9, 1)
	k := &keys{ring: map[string]*Key{key.id: key}}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			it := newItem(9, 1, all[from:middle], all[middle:])
			if k.open(it); !it.readable() {
				b.Fatal("not open")
			}
		}
	})
}

package cloud

import (
	"math/rand/v2"
	"sync"
	"time"
)

// A bucket lets so many units through in a second. In no second does it let
// more through than the limit: it is filled with 95 % of it a second and holds
// the other 5 %. It may be overdrawn, by one packet or by what came in.
type bucket struct {
	rate, size float64 // units a second, units; rate 0: no limit
	level      float64
	at         time.Time // of level
}

func newBucket(limit float64) bucket {
	b := bucket{rate: limit * 0.95, size: max(limit*0.05, 1), at: time.Now()}
	b.level = b.size
	return b
}

func (b *bucket) fill(now time.Time) {
	b.level = min(b.size, b.level+b.rate*now.Sub(b.at).Seconds())
	b.at = now
}

// wait is how long until the bucket holds need units.
func (b *bucket) wait(now time.Time, need float64) time.Duration {
	if b.rate <= 0 {
		return 0
	}
	b.fill(now)
	if b.level >= need {
		return 0
	}
	return max(time.Duration((need-b.level)/b.rate*float64(time.Second)), time.Microsecond)
}

// shaper keeps the limits of the connection: publishes a second, both ways, and
// bytes a second.
type shaper struct {
	mu       sync.Mutex
	messages bucket
	bytes    bucket
	hold     time.Time     // nothing leaves before
	penalty  time.Duration // the last wait after a PUBACK 0x97
}

func newShaper(r Rate) *shaper {
	return &shaper{messages: newBucket(float64(r.Messages)), bytes: newBucket(float64(r.Bytes))}
}

// take takes a message of so many bytes, or says how long to wait before asking
// again. AWS delays what is over the bytes and drops what is over the messages
// (quotas page), so a packet may overdraw the bytes. A message that has an answer
// pays for both, so that the answers of a long round trip do not come on top of a
// full rate.
func (s *shaper) take(bytes int, answered bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if d := max(s.hold.Sub(now), s.messages.wait(now, 1), s.bytes.wait(now, 1)); d > 0 {
		return d
	}
	s.messages.level--
	if answered {
		s.messages.level--
	}
	s.bytes.level -= float64(bytes)
	return 0
}

// came takes account of a message that came down and was not paid for: AWS counts
// both ways together. What it takes from us is bounded to a second.
func (s *shaper) came() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages.fill(time.Now())
	s.messages.level = max(s.messages.level-1, -s.messages.rate)
}

// Bounds of the pause after a PUBACK 0x97.
const (
	minPenalty = time.Second
	maxPenalty = 30 * time.Second
)

// answered takes account of a PUBACK: 0x97 stops all for a time that doubles
// with each pause, anything else ends that.
func (s *shaper) answered(code byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	switch {
	case code != quotaExceeded:
		s.penalty = 0
	case now.After(s.hold): // the others of the window tell no news
		s.penalty = min(max(2*s.penalty, minPenalty), maxPenalty)
		s.hold = now.Add(s.penalty/2 + rand.N(s.penalty/2+1))
	}
}

// held reports whether all is stopped by 0x97.
func (s *shaper) held() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.hold)
}

package broker

// maxAhead is how much more of the bound of all sessions than it needs a session books, in
// bytes. Only one that is connected and keeps up does, and gives it back when its messages
// are acknowledged: the bound is one cache line for all CPUs, too dear for each message.
const maxAhead = 64 << 10

// charge has a message count in the bounds, until free. The caller holds mu.
func (s *session) charge(p *pending, size int) {
	p.size = int32(size)
	s.bytes += size
	if s.bytes <= s.booked {
		return
	}
	n := s.bytes
	if s.conn != nil && s.queue.len() == 0 {
		if more := n + min(n, maxAhead); s.bookable(more) {
			n = more
		}
	}
	s.book(n)
}

// fits tells whether a message of that size keeps to the bounds. The caller holds mu.
func (s *session) fits(size int) bool {
	n := s.bytes + size
	return n <= maxQueuedBytes && (n <= s.booked || s.bookable(n))
}

// discharge ends what charge began. The caller holds mu.
func (s *session) discharge(p *pending) {
	s.bytes -= int(p.size)
	p.size = 0
	if s.bytes == 0 || s.booked-s.bytes > maxAhead {
		s.book(s.bytes)
	}
}

// bookable tells whether the bound of all sessions has so much for this one, in bytes.
func (s *session) bookable(n int) bool {
	return s.b.queued.Load()+int64(n-s.booked) <= s.b.most
}

// book takes so much of it, in bytes, in place of what was booked. The caller holds mu.
func (s *session) book(n int) {
	if n != s.booked {
		s.b.queued.Add(int64(n - s.booked))
		s.booked = n
	}
}

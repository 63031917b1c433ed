package broker

import "slices"

// OnFailpoint has f called at each failpoint, from any goroutine, some with locks held.
// It must be called before there is a broker.
func OnFailpoint(f func(name string)) {
	reached = func(p failpoint) { f(string(p)) }
}

// NewSocket puts the socket that the broker uses under TLS around a connection.
var NewSocket = newSocket

// Connections is the number of connections, from before their handshake until all that
// they began is over.
func (b *Broker) Connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// MessagesWrittenAfter has the session of a thing lapse, and counts the messages that its store
// would write afterwards.
func (b *Broker) MessagesWrittenAfter(thing string) (n int) {
	b.mu.Lock()
	s := b.sessions[thing]
	b.mu.Unlock()
	st := b.store
	st.whole.RLock() // what is to be written stays where it can be seen
	defer st.whole.RUnlock()
	if err := s.prolong(s.conn, 0); err != nil {
		panic(err)
	}
	st.mu.Lock()
	ops, later := slices.Clone(st.now), slices.Clone(st.later)
	st.mu.Unlock()
	for _, o := range ops[slices.IndexFunc(ops, func(o op) bool { return o.ends }):] {
		if o.to == thing && !o.undoes {
			n++
		}
	}
	for _, l := range later {
		l.s.mu.Lock()
		if l.s == s && l.p.disk == onTheWay {
			n++
		}
		l.s.mu.Unlock()
	}
	return n
}

// Booked is how much of the bound of all sessions is taken, in bytes.
func (b *Broker) Booked() int64 { return b.queued.Load() }

package broker

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

// Booked is how much of the bound of all sessions is taken, in bytes.
func (b *Broker) Booked() int64 { return b.queued.Load() }

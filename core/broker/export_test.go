package broker

// OnFailpoint has f called at each failpoint, from any goroutine, some with locks held.
// It must be called before there is a broker.
func OnFailpoint(f func(name string)) {
	reached = func(p failpoint) { f(string(p)) }
}

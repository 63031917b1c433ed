package telemetry

// OnFailpoint has f called at each failpoint, from any goroutine, some with locks held.
// It must not be called once Run has begun.
func (s *Spool) OnFailpoint(f func(name string)) {
	s.reached = func(p failpoint) { f(string(p)) }
}

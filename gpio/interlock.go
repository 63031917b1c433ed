package gpio

import "sync"

// interlocks knows which outputs may not be on together. An output is taken up
// before its line goes on, and leaves after it has gone off, so that at no time
// two are on. One that fails while it may be on stays in: nobody knows.
type interlocks struct {
	mu       sync.Mutex
	partners map[*actuator][]*actuator // both ways
	on       map[*actuator]bool
}

// join makes a and b partners. It is called by New.
func (i *interlocks) join(a, b *actuator) {
	if i.partners == nil {
		i.partners, i.on = map[*actuator][]*actuator{}, map[*actuator]bool{}
	}
	i.partners[a] = append(i.partners[a], b)
	i.partners[b] = append(i.partners[b], a)
}

// take lets a go on, or returns the partner that is on.
func (i *interlocks) take(a *actuator) (on *actuator) {
	partners := i.partners[a]
	if partners == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range partners {
		if i.on[p] {
			return p
		}
	}
	i.on[a] = true
	return nil
}

// leave tells that a is off, and whether one waits for that perhaps.
func (i *interlocks) leave(a *actuator) (awaited bool) {
	if i.partners[a] == nil {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	awaited = i.on[a]
	delete(i.on, a)
	return awaited
}

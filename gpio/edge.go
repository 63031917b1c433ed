package gpio

import "time"

// edge is one change of an input line.
type edge struct {
	at     time.Time // when it came
	rising bool
	// missed is how many edges came between the one before and this one, and are
	// lost: nobody fetched them in time.
	missed uint32
}

// edgeSet is which edges of a line are asked for.
type edgeSet uint8

const (
	rising edgeSet = 1 << iota
	falling
	bothEdges = rising | falling
)

// edgesOf reads the word of the group file.
func edgesOf(word string) edgeSet {
	switch word {
	case "rising":
		return rising
	case "falling":
		return falling
	}
	return bothEdges
}

// has tells whether an edge to that level is one of them.
func (s edgeSet) has(high bool) bool {
	if high {
		return s&rising != 0
	}
	return s&falling != 0
}

// queueSize is how many edges of a line are kept until they are fetched: the most
// that the kernel offers, a second of 1,000 edges a second.
const queueSize = 1024

// input is a claimed line that is read. One goroutine uses it.
type input interface {
	// High tells the level now. After an error the line is lost.
	High() (bool, error)
	// Edges fetches the oldest edges, at most len(into). If there are none it waits
	// for one, not longer than timeout, which is more than 0; none is no error.
	// After an error the line is lost.
	Edges(into []edge, timeout time.Duration) (n int, err error)
	Close()
}

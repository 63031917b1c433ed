package main

import (
	"golang.org/x/sys/unix"

	"greengate/configs"
)

// descriptors says how the file descriptors that this process may have are shared out:
// how many connections each door takes. A gateway whose clients have taken the last one
// could open no journal, reach no cloud, and tell nobody why.
type descriptors struct {
	broker    int // connections; 0: no bound
	discovery int // connections of each listener; 0: the door's own bound
	page      int // connections; 0: the door's own bound
}

const (
	// ownDescriptors is what the gateway keeps for itself: 37 of a quiet one, eleven
	// more with a cloud, the second copies of the databases, backups, and who comes to the
	// control socket.
	ownDescriptors = 192
	// perFunction is what a function takes that calls home with many requests at once.
	perFunction = 32
)

// shareDescriptors shares out the limit of this process. (The runtime of Go has raised it
// to the hard one.)
func shareDescriptors(c *configs.Config) descriptors {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil || l.Cur > 1<<30 {
		return descriptors{}
	}
	return divide(int(l.Cur), len(c.Functions), len(c.Discovery.Listen))
}

// divide keeps at most half of limit for the gateway; of the rest discovery and the page
// get an eighth each, up to their own bounds, and the broker what remains.
func divide(limit, functions, listeners int) descriptors {
	clients := limit - min(limit/2, ownDescriptors+perFunction*functions)
	d := descriptors{discovery: max(4, clients/8/max(1, listeners)), page: max(4, clients/8)}
	d.broker = max(8, clients-min(d.discovery, 256)*listeners-min(d.page, 128))
	return d
}

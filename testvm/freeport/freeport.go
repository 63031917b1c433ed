// Package freeport finds ports of loopback for the servers of tests and benchmarks.
//
// It owns the choice only. Every test and every program that compares or soaks may
// import it. All of it may be called from many goroutines.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// The ports lie below those that Linux gives to outgoing connections, since one of
// those could take a port before its server does.
const (
	lowest = 20_000
	number = 12_000
)

// kept are the reservations of this process: a collected listener would be closed.
var (
	mu   sync.Mutex
	kept []net.Listener
)

// Take returns an address of host, HOST:PORT, where nobody listens. No other call
// gets its port while this process lives, in any process of this machine (of this
// network namespace): between the choice and the server there are seconds in which
// the tests of other packages choose theirs.
func Take(host string) (string, error) {
	for range 1000 {
		port := lowest + rand.IntN(number)
		// The name lies in the abstract namespace of unix(7): it goes with its process.
		reserved, err := net.Listen("unix", fmt.Sprintf("@greengate-port-%d", port))
		if err != nil {
			continue
		}
		mu.Lock()
		kept = append(kept, reserved)
		mu.Unlock()
		l, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
		if err != nil {
			continue
		}
		return l.Addr().String(), l.Close()
	}
	return "", errors.New("no port is free on " + host)
}

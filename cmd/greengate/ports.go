package main

import (
	"errors"
	"syscall"

	"greengate/configs"
)

// portError says of an address that cannot be opened where it stands in the group file, and
// what to do. nil is none.
func portError(c *configs.Config, key string, err error) error {
	if err == nil {
		return nil
	}
	return c.FaultAt(key, err.Error(), portHint(err))
}

// portHint is what to do about an address that cannot be opened.
func portHint(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "`ss -ltnp` tells who has it: stop that, or write another address"
	case errors.Is(err, syscall.EACCES):
		return "the service has the right (AmbientCapabilities=CAP_NET_BIND_SERVICE); by hand: setcap cap_net_bind_service=+ep on the program"
	}
	return "write an address of this machine (`ip address`)"
}

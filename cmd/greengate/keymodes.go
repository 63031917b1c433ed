package main

import (
	"fmt"
	"os"

	"greengate/configs"
)

// looseKeys tells of secrets that anybody on this machine can read. The keys of the group are
// not among them: with such a key the gateway does not start (core/pki). The core's key for
// the cloud came from elsewhere, and a site must not lose its cloud for a mode.
func looseKeys(c *configs.Config) (list []string) {
	if c.Cloud == nil {
		return nil
	}
	info, err := os.Stat(c.Cloud.Key)
	if err != nil {
		return nil // the link tells more
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		list = append(list, fmt.Sprintf("everybody on this machine can read the core's key %s (mode %04o): who has it is this gateway for the cloud", c.Cloud.Key, mode))
	}
	return list
}

// tightenKeys is what a person does about looseKeys.
func tightenKeys(c *configs.Config) string { return "chmod 600 " + c.Cloud.Key }

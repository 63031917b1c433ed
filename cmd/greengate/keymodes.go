package main

import (
	"fmt"
	"os"

	"greengate/configs"
)

// looseKeys tells of secrets that anybody on this machine can read. The keys of the group are
// not among them: with such a key the gateway does not start (core/pki). The core's key for
// the cloud came from elsewhere, or is in a token that wants a PIN, and a site must not lose its cloud
// for a mode.
func looseKeys(c *configs.Config) (list []string) {
	file := secretFile(c)
	info, err := os.Stat(file)
	if file == "" || err != nil {
		return nil // the link tells more
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		what, who := "the core's key", "who has it"
		if _, inToken := tokenKey(c); inToken {
			what, who = "the PIN of the core's key", "who has it and the token"
		}
		list = append(list, fmt.Sprintf("everybody on this machine can read %s %s (mode %04o): %s is this gateway for the cloud", what, file, mode, who))
	}
	return list
}

// tightenKeys is what a person does about looseKeys.
func tightenKeys(c *configs.Config) string { return "chmod 600 " + secretFile(c) }

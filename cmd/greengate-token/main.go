// Command greengate-token has a PKCS#11 token make one signature: it reads a request from its
// standard input and writes the answer to its standard output. greengate starts it when the
// core's key is in a token; it is of no use to a person. What it is for, and why it is not
// greengate itself, stands in core/token.
package main

import (
	"fmt"
	"os"
	"time"

	"greengate/core/token/module"
)

// longest is how long it lives, whatever the token does. greengate kills it earlier, unless
// greengate has died.
const longest = time.Minute

func main() {
	time.AfterFunc(longest, func() { os.Exit(2) })
	if err := module.Serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "greengate-token:", err)
		os.Exit(2)
	}
}

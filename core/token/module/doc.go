// Package module is the only door to the PKCS#11 library: it loads the shared library that
// knows a token, and has it make one signature. It is the inside of the program greengate-token,
// which core/token starts; core/token says why that is a process of its own. Nothing but that
// program may import it, and core/token for its words.
//
// One Serve in the life of a process: what a module leaves behind ends with it.
package module

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"greengate/core/token"
)

// maxRequest bounds what is read, in bytes; a request has less than 1 KiB.
const maxRequest = 64 << 10

// Serve reads one token.Request and writes its token.Answer. An error is one of reading or writing.
func Serve(in io.Reader, out io.Writer) error {
	var r token.Request
	if err := json.NewDecoder(io.LimitReader(in, maxRequest)).Decode(&r); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	var a token.Answer
	var err error
	if a.Signature, err = sign(r); err != nil && !errors.As(err, &a.Error) {
		a.Error = &token.Error{Problem: err.Error()}
	}
	if err := json.NewEncoder(out).Encode(a); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

func problem(text, hint string) error { return &token.Error{Problem: text, Hint: hint} }

func absent(text, hint string) error {
	return &token.Error{Problem: text, Hint: hint, Absent: true}
}

package token

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"time"
)

// run starts the program, hands it a request, and kills it when ctx ends. The error is about
// the program; what is wrong with the token stands in the answer.
func run(ctx context.Context, program string, r Request) (answer Answer, err error) {
	input, err := json.Marshal(r)
	if err != nil {
		return answer, fmt.Errorf("ask the token: %w", err)
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin = bytes.NewReader(input)
	// Whatever else holds its output, a daemon that the module has started, say: it is waited for no
	// longer than this. What modules write to stderr is dropped: some write the PIN there.
	cmd.WaitDelay = time.Second
	output, err := cmd.Output()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return answer, absent(fmt.Sprintf("%s is missing", program), "it comes with the package of greengate, but for ARMv6; a container has none")
	case err != nil:
		return answer, absent(fmt.Sprintf("the program that loads the token's module ended: %v", err), "the module has a fault: `pkcs11-tool -l -O` tells whether it works elsewhere")
	}
	if err := json.Unmarshal(output, &answer); err != nil || answer.Error == nil && len(answer.Signature) == 0 {
		return answer, absent("the program that loads the token's module gave no answer", "is "+program+" of the same version as greengate?")
	}
	return answer, nil
}

package broker_test

import (
	"fmt"
	"runtime"
	"testing"
)

// A quiet connection costs one goroutine: mochi, which has served its CONNECT, keeps
// none for it.
func TestQuietConnectionsCostOneGoroutineEach(t *testing.T) {
	s := start(t, everything)
	s.connect("first") // and the broker runs
	before := runtime.NumGoroutine()
	const devices = 20
	for i := range devices {
		s.connect(fmt.Sprintf("quiet-%d", i)).subscribe(1, "x/#")
	}
	s.until("the handshakes have ended", func() bool { return runtime.NumGoroutine() <= before+devices })
}

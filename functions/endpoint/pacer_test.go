package endpoint

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// After a pause a second's worth passes at once; then the rest waits its turn.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(pacer)
		for round := range 2 {
			begun := time.Now()
			for i := range MaxRate {
				if p.wait(t.Context()) {
					t.Fatalf("round %d: request %d had to wait", round, i)
				}
			}
			var all sync.WaitGroup
			for range 2 * MaxRate {
				all.Go(func() {
					if !p.wait(t.Context()) {
						t.Error("one more did not wait")
					}
				})
			}
			all.Wait()
			if took := time.Since(begun); took != 2*time.Second {
				t.Errorf("round %d took %v", round, took)
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// Who has gone does not wait.
func TestPacerOfOneWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pacer{free: time.Now().Add(time.Hour)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if !p.wait(ctx) || time.Since(begun) != time.Second {
			t.Errorf("waited %v", time.Since(begun))
		}
	})
}

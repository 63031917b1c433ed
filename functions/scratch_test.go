package functions

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greengate/functions/sandbox"
)

// An instance that fills the disk, by bytes, by files, or by files without a name, is ended, is told
// of, and starts again with an empty folder.
func TestScratchIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		write func(p *fakeProcess) error
		fault string
	}{
		"bytes": {func(p *fakeProcess) error {
			return os.WriteFile(p.spec.Scratch+"/large", make([]byte, 2<<20), 0o600)
		}, "wrote more than its 1 MiB into its scratch folder"},
		"files": {func(p *fakeProcess) (err error) {
			for i := range 20 {
				if e := os.WriteFile(p.spec.Scratch+fmt.Sprint("/", i), nil, 0o600); e != nil {
					err = e
				}
			}
			return err
		}, "had more than its 10 files in its scratch folder"},
		"files without a name": {func(p *fakeProcess) error {
			p.unlinked.Store(2 << 20)
			return nil
		}, "wrote more than its 1 MiB into its scratch folder"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				starts := 0
				r := newRig(t, t.TempDir(), func(p *fakeProcess) sandbox.Exit {
					if starts++; starts == 1 {
						if err := c.write(p); err != nil {
							t.Error(err)
						}
					}
					<-p.killed
					return sandbox.Exit{Code: 1}
				}, Options{Bounds: Bounds{Scratch: 1 << 20, ScratchFiles: 10, Init: time.Hour}}, config("f", pinned)).start()
				time.Sleep(time.Minute)
				if s := r.stats(); s.Restarts != 1 || !strings.Contains(s.Last, c.fault) {
					t.Errorf("%d restarts, last fault %q, want one: %q", s.Restarts, s.Last, c.fault)
				}
				r.stop()
			})
		})
	}
}

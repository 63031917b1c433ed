package main

import (
	"context"
	"errors"
	"testing"

	"greengate/core/dataplane"
	"greengate/core/router"
	"greengate/localshadow"
)

// TestDataErrors: what the shadow service says becomes an answer of the data
// plane, and a verdict in the ledger.
func TestDataErrors(t *testing.T) {
	disk := errors.New("the disk is full")
	for _, c := range []struct {
		err     error
		status  int // 0: no answer of the API, but a fault
		kind    string
		verdict router.Verdict
		why     router.Reason
	}{
		{&localshadow.Rejection{Code: 404, Message: "m"}, 404, "ResourceNotFoundException", router.Delivered, ""},
		{&localshadow.Rejection{Code: 409, Message: "m"}, 409, "ConflictException", router.Delivered, ""},
		{&localshadow.Rejection{Code: 429, Message: "m"}, 429, "ThrottlingException", router.Dropped, busy},
		{&localshadow.Rejection{Code: 500, Message: "m"}, 500, "InternalFailureException", router.Dropped, storeFault},
		{localshadow.ErrStopped, 503, "ServiceUnavailableException", router.Dropped, storeFault},
		{disk, 0, "", router.Dropped, storeFault},
		{context.DeadlineExceeded, 0, "", router.Dropped, storeFault},
	} {
		var e *dataplane.Error
		if got := dataError(c.err); errors.As(got, &e) != (c.status != 0) {
			t.Errorf("%v becomes %v", c.err, got)
		} else if e != nil && (e.Status != c.status || e.Type != c.kind || e.Message == "") {
			t.Errorf("%v becomes %+v, want %d %s", c.err, e, c.status, c.kind)
		}
		if verdict, why := shadowVerdict(c.err); verdict != c.verdict || why != c.why {
			t.Errorf("%v counts as %v %s, want %v %s", c.err, verdict, why, c.verdict, c.why)
		}
	}
	if err := dataError(nil); err != nil {
		t.Errorf("no error becomes %v", err)
	}
	if verdict, _ := shadowVerdict(nil); verdict != router.Delivered {
		t.Errorf("an accepted request counts as %v", verdict)
	}
}

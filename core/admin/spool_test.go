package admin_test

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"greengate/core/admin"
	"greengate/core/admin/client"
)

// An export that breaks off in the middle must not be taken for a whole one.
func TestExportIsWholeOrAnError(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gate.sock")
	s := newServer(socket)
	whole := true
	s.Handle("GET /v1/spool/export", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for n := range 1000 {
			fmt.Fprintf(w, `{"seq":%d,"payload":%q}`+"\n", n, strings.Repeat("x", 100))
		}
		if !whole {
			panic(http.ErrAbortHandler)
		}
	}))
	serve(t, s)
	var out bytes.Buffer
	n, err := client.New(socket).ExportSpool(t.Context(), &out)
	if err != nil || n != 1000 || bytes.Count(out.Bytes(), []byte("\n")) != 1000 {
		t.Errorf("got %d lines, %v", n, err)
	}
	whole = false
	if n, err := client.New(socket).ExportSpool(t.Context(), new(bytes.Buffer)); err == nil {
		t.Errorf("%d lines of half an export are no error", n)
	}
}

func TestSpoolOfAGatewayWithoutOne(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "gate.sock")
	s := newServer(socket)
	s.Handle("GET /v1/spool", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		admin.Refuse(w, http.StatusNotFound, fmt.Errorf("no cloud"))
	}))
	serve(t, s)
	if _, err := client.New(socket).SpoolStats(t.Context()); err == nil || err.Error() != "no cloud" {
		t.Errorf("got %v", err)
	}
}

// Lists that programs read are never null.
func TestSpoolStatsKeys(t *testing.T) {
	body, err := client.SpoolStats{}.MarshalJSON()
	if err != nil || strings.Contains(string(body), "null") {
		t.Errorf("got %s, %v", body, err)
	}
	for _, key := range []string{"messages", "drained_in_seconds", "full_in_seconds", "priorities", "dropped", "quarantine", "cloud", "faults"} {
		if !strings.Contains(string(body), `"`+key+`":`) {
			t.Errorf("the key %q is missing in %s", key, body)
		}
	}
}

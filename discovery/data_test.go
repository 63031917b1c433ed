package discovery

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"testing"
)

var requestID = regexp.MustCompile(`\r\nx-amzn-requestid: ([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\r\n`)

// TestEveryAnswerHasAnID: of discovery, of data, of errors that no handler sees.
func TestEveryAnswerHasAnID(t *testing.T) {
	var told string
	s := newSite(t, withData(func(w http.ResponseWriter, r *http.Request) {
		told = w.Header().Get("x-amzn-requestid")
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	}))
	ids := map[string]bool{}
	for _, c := range []struct{ thing, request string }{
		{"dev:1_a-b", discoverDev},
		{"gone", discoverDev},
		{"other", "GET /data HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n"},
		{"other", "nonsense\r\n\r\n"},
	} {
		answer := s.say(c.thing, c.request)
		found := requestID.FindAllStringSubmatch(answer, -1)
		if len(found) != 1 {
			t.Fatalf("%s: %d ids in %q", c.thing, len(found), answer)
		}
		ids[found[0][1]] = true
		checkHead(t, answer)
	}
	if len(ids) != 4 || !ids[told] {
		t.Errorf("the ids are %v, and the handler was told %q", ids, told)
	}
}

// TestDataIsWork: a device that was renewed and comes for data has used its new
// certificate, before the request is carried out.
func TestDataIsWork(t *testing.T) {
	var s *site
	s = newSite(t, withData(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, s.ids.usedNow())
	}))
	_, body := checkHead(t, s.say("other", "GET /data HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n"))
	var used string
	if err := json.Unmarshal([]byte(body), &used); err != nil || used != "other" {
		t.Errorf("used were %q", used)
	}
}

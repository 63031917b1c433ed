package discovery

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusalsAreToldOncePerBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newTally(slog.New(slog.NewTextHandler(&log, nil)))
		for range 100 {
			s.refuse(refusal{thing: "a", reason: reasonOtherThing, remote: "192.0.2.1:1"})
			s.refuse(refusal{reason: reasonHandshake, remote: "192.0.2.1:2", err: errors.New("no certificate")})
			s.refuse(refusal{reason: reasonHandshake, remote: "192.0.2.2:3", err: errors.New("no certificate")})
		}
		if n := strings.Count(log.String(), "\n"); n != 3 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		if st := (&Server{stats: s}).Stats(); st.Refused[reasonOtherThing] != 100 || st.Refused[reasonHandshake] != 200 {
			t.Errorf("stats %+v", st)
		}
		time.Sleep(burst) // virtual
		log.Reset()
		s.refuse(refusal{thing: "a", reason: reasonOtherThing, remote: "192.0.2.1:1"})
		if !strings.Contains(log.String(), "more_since_last_told=99") {
			t.Errorf("the next line is %s", log.String())
		}
	})
}

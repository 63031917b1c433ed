package shadows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greengate/core/sqlite"
	"greengate/localshadow"
	"greengate/sync/shadows"
)

// FuzzEvilCloud has a reconciler talk with an evil cloud, which answers as the input
// wants: with garbage, wrong tokens, versions that are huge or go back, refusals of any
// kind, with nothing or twice, in its own time; and tells what it likes. Then the cloud is
// honest again. Nothing panics, the versions of the gateway never go back, and in the end
// both sides have the same.
func FuzzEvilCloud(f *testing.F) {
	for _, acts := range []string{"\x00\x01\x02\x03\x04", "\x00\x03\x05\x00\x06\x01\x07\x02", "\x00\x08\x00\x08\x03\x08\x01", "\x02\x02\x05\x04\x05\x01\x00\x03\x07"} {
		for _, answers := range []string{"", "\x01\x02\x03\x04\x05\x06\x07", "\x10\x11\x12\x13\x14\x15", "\x08\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", "\x20\x21\x22\x23\x24\x25\x26\x27\x28"} {
			f.Add([]byte(acts), []byte(answers), evilTexts[len(acts)%len(evilTexts)])
			f.Add([]byte(acts), []byte(answers), evilTexts[len(answers)%len(evilTexts)])
		}
	}
	f.Fuzz(func(t *testing.T, acts, answers []byte, text string) {
		if len(acts) > 40 || len(answers) > 200 || len(text) > 4096 {
			t.Skip("long stories cost time and show nothing more")
		}
		synctest.Test(t, func(t *testing.T) {
			s := startEvil(t, answers, text)
			for _, act := range acts {
				s.act(act)
				synctest.Wait()
			}
			s.peace()
		})
	})
}

// evilTexts are what an evil cloud may put in the place of a document.
var evilTexts = []string{
	`{"state":{"desired":{"a":1}},"version":9223372036854775807}`, `{"state":{"desired":{"a":{"b":[1,{}]}},"reported":null},"version":-1}`, `{"state":[],"version":"1"}`,
	`{"state":{"reported":{"a":1e999,"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}},"version":2,"metadata":{"reported":{"a":{"timestamp":-1}}}}`, `{"state":null,"code":404}`, "\xff{",
}

// evilSite is a gateway of one thing, and its evil cloud.
type evilSite struct {
	*testing.T
	local *localshadow.Service
	rec   *shadows.Reconciler

	mu       sync.Mutex
	answers  []byte // what is left of the input
	text     string
	honest   bool
	online   bool
	changed  chan struct{}
	docs     map[string]*evilDoc // the truth of the cloud, by the name of the shadow
	requests int
	versions map[string]int64 // the last of the gateway's, by the name of the shadow
}

// evilDoc is a shadow as the cloud has it.
type evilDoc struct {
	state   object // nil: there is none
	version int64
}

func startEvil(t *testing.T, answers []byte, text string) *evilSite {
	s := &evilSite{T: t, answers: answers, text: text, online: true, changed: make(chan struct{}),
		docs: map[string]*evilDoc{"": {}, "n": {}}, versions: map[string]int64{}}
	quiet := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(sqlite.Options{File: filepath.Join(folder(t), "shadows.db"), Migrations: localshadow.Migrations(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	if s.local, err = localshadow.New(localshadow.Options{DB: db, Publish: func(string, []byte) {}, Log: quiet}); err != nil {
		t.Fatal(err)
	}
	s.local.Watch(s.watch)
	s.rec, err = shadows.New(shadows.Options{
		Shadows: s.local, DB: db, Link: s, Things: func() map[string]shadows.Direction { return map[string]shadows.Direction{"T": shadows.Both} },
	})
	if err != nil {
		t.Fatal(err)
	}
	var stops []func()
	for _, run := range []func(context.Context) error{db.Run, s.local.Run, s.rec.Run} {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx) }()
		stops = append(stops, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(func() { stops[2](); stops[1](); stops[0]() })
	return s
}

// watch sees to the versions of the gateway.
func (s *evilSite) watch(c localshadow.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := s.versions[c.Name]; c.Version < last || c.Version == last && !c.Deleted {
		s.Errorf("version %d of the shadow %q follows %d", c.Version, c.Name, last)
	}
	s.versions[c.Name] = c.Version
}

// act is one thing that happens.
func (s *evilSite) act(n byte) {
	name := []string{"", "n"}[n>>4&1]
	switch n & 15 {
	case 0, 1, 2: // what the gateway refuses is refused
		state := []string{`{"desired":{"a":1,"o":{"x":1}},"reported":{"a":1}}`, `{"reported":{"a":2,"o":null}}`, `{"desired":{"o":{"x":null,"y":[]}}}`}[n&15]
		_, _ = s.local.Update(context.Background(), "T", name, []byte(`{"state":`+state+`}`), byDevice)
	case 3:
		_, _ = s.local.Delete(context.Background(), "T", name, nil, byDevice)
	case 4:
		s.tell(name, "update/accepted", `{"state":{"desired":{"a":7}},"version":%d}`)
	case 5:
		s.tell(name, "delete/accepted", `{"version":%d}`)
	case 6:
		s.reconnect()
	case 7:
		<-time.After(11 * time.Second) // longer than an answer is waited for
	case 8:
		_, _ = s.local.Update(context.Background(), "T", name, []byte(s.text), byDevice)
	default:
		op := []string{"get/accepted", "get/rejected", "update/accepted", "update/rejected", "delete/accepted", "delete/rejected", "update/x"}[n%7]
		s.rec.Receive(evilTopic([]string{name, s.text}[n>>5&1], op), []byte(s.text))
	}
}

func evilTopic(name, op string) string {
	if name == "" {
		return "$aws/things/T/shadow/" + op
	}
	return "$aws/things/T/shadow/name/" + name + "/" + op
}

// tell says what is not true, with a version that may be.
func (s *evilSite) tell(name, op, text string) {
	s.mu.Lock()
	version := s.docs[name].version + []int64{1, 0, -1, 2, 1 << 62}[s.next()%5]
	s.mu.Unlock()
	s.rec.Receive(evilTopic(name, op), fmt.Appendf(nil, text, version))
}

// next takes a byte of the input; 0 is honest. The caller holds mu.
func (s *evilSite) next() byte {
	if s.honest || len(s.answers) == 0 {
		return 0
	}
	n := s.answers[0]
	s.answers = s.answers[1:]
	return n
}

func (s *evilSite) reconnect() {
	for _, online := range []bool{false, true} {
		s.mu.Lock()
		s.online = online
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		synctest.Wait()
	}
}

// Connected and the others make the site the link of its reconciler.
func (s *evilSite) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.online
}

func (s *evilSite) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *evilSite) Names(context.Context, string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.next() & 3 {
	case 1:
		return nil, errors.New("no names today")
	case 2:
		return []string{"", s.text, "n", "n", "a/b", "#", strings.Repeat("x", 65)}, nil
	}
	if s.docs["n"].state == nil {
		return nil, nil
	}
	return []string{"n"}, nil
}

func (s *evilSite) Send(_ context.Context, topic string, payload []byte, done func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests++; s.requests > 10_000 {
		s.Fatalf("the reconciler does not come to rest: it asks %s again", topic)
	}
	if !s.online {
		return shadows.ErrOffline
	}
	how := s.next()
	switch how {
	case 0x20:
		return &shadows.Never{Err: errors.New("never")}
	case 0x21:
		return errors.New("later")
	}
	replies := s.serve(topic, payload, how)
	go func() {
		<-time.After(10 * time.Millisecond)
		switch how {
		case 0x22:
			done(shadows.ErrLost)
		case 0x23:
			done(&shadows.Never{Err: errors.New("never")})
		case 0x24:
			done(errors.New("later"))
		default:
			done(nil)
		}
		for _, r := range replies {
			s.rec.Receive(r[0], []byte(r[1]))
		}
	}()
	return nil
}

// peace has the cloud be honest, and waits until both sides have the same.
func (s *evilSite) peace() {
	s.mu.Lock()
	s.honest = true
	s.mu.Unlock()
	s.reconnect()
	s.rec.Refresh() // to what was refused, the cloud meant what it said
	for end := time.Now().Add(time.Hour); ; <-time.After(10 * time.Second) {
		synctest.Wait()
		apart := s.apart()
		if apart == "" {
			return
		}
		if time.Now().After(end) {
			s.Fatalf("not in step with an honest cloud: %s; faults %q, stats %+v", apart, s.rec.Faults(), s.rec.Stats())
		}
	}
}

// apart says in what the two sides differ.
func (s *evilSite) apart() string {
	if n := s.rec.Stats(); n.Ahead+n.Behind+n.Asking+n.Blocked > 0 {
		return "it says so itself"
	}
	for name, doc := range s.docs {
		var here state
		answer, err := s.local.Get(context.Background(), "T", name, nil)
		var rejected *localshadow.Rejection
		switch {
		case err == nil:
			here, _ = readState(answer)
		case !errors.As(err, &rejected) || rejected.Code != 404:
			s.Fatal(err)
		}
		s.mu.Lock()
		there := state(doc.state)
		s.mu.Unlock()
		if !sameState(here, there) {
			return fmt.Sprintf("shadow %q is %v here and %v there", name, here, there)
		}
	}
	return ""
}

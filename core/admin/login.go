package admin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Who wants to act shows the token once, and gets a session: a cookie that scripts
// cannot read and that goes to no other site, and a word against forged requests that
// each acting request bears in a header. A new token ends the sessions of the old one.

// Bounds of logging in.
const (
	mostSessions  = 32                     // at a time; a new one ends the oldest
	sessionTime   = 12 * time.Hour         // the life of a session
	mostFailures  = 5                      // wrong tokens in failureTime, from all together
	failureTime   = time.Minute            // after which it may be tried again
	forgeryHeader = "X-Csrf-Token"         // of acting requests
	cookieName    = "greengate"            // on loopback
	secureCookie  = "__Host-" + cookieName // with TLS
)

// NewToken returns a token and the hash of it, which is all that is kept. It has 256
// bits, so the hash needs no salt and no slowness.
func NewToken() (token, hash string) {
	token = "gg_" + strings.ToLower(rand.Text()+rand.Text())
	return token, hashOf(token)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// sessions are those who have logged in.
type sessions struct {
	mu       sync.Mutex
	all      map[string]*session // guarded by mu: by the hash of the cookie
	failures []time.Time         // guarded by mu: wrong tokens of the last minute
}

type session struct {
	forgery string // what acting requests bear
	token   string // hash of the token it was opened with
	begun   time.Time
}

var (
	errNoToken    = errors.New("nobody may act: there is no token (make one with `greengate admin token`)")
	errWrongToken = errors.New("this is not the token")
	errTooOften   = errors.New("too many wrong tokens: wait a minute")
	errNoSession  = errors.New("log in first")
	errForged     = errors.New("the request does not bear the word of its session")
)

// tokenHash reads the hash of the token in force; "" when there is none.
func (p *Page) tokenHash() (string, error) {
	if p.o.Token == "" {
		return "", nil
	}
	text, err := os.ReadFile(p.o.Token)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(text)), err
}

// Session is the answer of /api/session and /api/login.
type Session struct {
	Acting bool   `json:"acting"`         // the one who asks may act
	Word   string `json:"csrf,omitempty"` // what his acting requests bear in X-Csrf-Token
	Token  bool   `json:"token"`          // there is a token: somebody may log in
}

func (p *Page) session(w http.ResponseWriter, r *http.Request) {
	hash, err := p.tokenHash()
	answer := Session{Token: err == nil && hash != ""}
	if s := p.sessionOf(r); s != nil {
		answer.Acting, answer.Word = true, s.forgery
	}
	Answer(w, http.StatusOK, answer)
}

func (p *Page) login(w http.ResponseWriter, r *http.Request) {
	var shown struct {
		Token string `json:"token"`
	}
	// A form of another site cannot send this type.
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" {
		p.refuse(w, http.StatusUnsupportedMediaType, "login", errors.New("the token comes as JSON"))
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&shown); err != nil {
		p.refuse(w, http.StatusBadRequest, "login", errors.New(`the request is not {"token": "..."}`))
		return
	}
	hash, err := p.tokenHash()
	switch {
	case err != nil:
		p.log.Error("Did not read the token of those who may act", "err", err)
		p.refuse(w, http.StatusInternalServerError, "login", errors.New("the token cannot be read; the log says why"))
	case hash == "":
		p.refuse(w, http.StatusForbidden, "login", errNoToken)
	case subtle.ConstantTimeCompare([]byte(hashOf(shown.Token)), []byte(hash)) != 1:
		if !p.sessions.mayFail(time.Now()) {
			w.Header().Set("Retry-After", "60")
			p.refuse(w, http.StatusTooManyRequests, "login", errTooOften)
			return
		}
		p.log.Info("Somebody tried to log in with a wrong token", "address", r.RemoteAddr)
		p.refuse(w, http.StatusUnauthorized, "login", errWrongToken)
	default:
		cookie, s := p.sessions.open(hash, time.Now())
		http.SetCookie(w, p.cookie(cookie, int(sessionTime/time.Second)))
		p.log.Info("Somebody has logged in at the status page", "address", r.RemoteAddr)
		Answer(w, http.StatusOK, Session{Acting: true, Word: s.forgery, Token: true})
	}
}

func (p *Page) cookie(value string, age int) *http.Cookie {
	c := &http.Cookie{Name: cookieName, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if !p.plain {
		c.Name, c.Secure = secureCookie, true
	}
	return c
}

func (p *Page) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(p.cookie("", 0).Name); err == nil {
		p.sessions.end(c.Value)
	}
	http.SetCookie(w, p.cookie("", -1))
	Answer(w, http.StatusOK, Session{})
}

// acting lets those pass who have logged in and whose request is their own.
func (p *Page) acting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := p.sessionOf(r)
		switch {
		case s == nil:
			p.refuse(w, http.StatusUnauthorized, "session", errNoSession)
		case subtle.ConstantTimeCompare([]byte(r.Header.Get(forgeryHeader)), []byte(s.forgery)) != 1:
			p.refuse(w, http.StatusForbidden, "csrf", errForged)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// sessionOf returns the session of a request; nil: none that is good.
func (p *Page) sessionOf(r *http.Request) *session {
	c, err := r.Cookie(p.cookie("", 0).Name)
	if err != nil {
		return nil
	}
	hash, err := p.tokenHash()
	if err != nil || hash == "" {
		return nil
	}
	return p.sessions.find(c.Value, hash, time.Now())
}

// mayFail reports whether one more wrong token is worth a line in the log. The right one
// is let in at any time: nobody guesses 256 bits, and nobody is to keep its owner out.
func (s *sessions) mayFail(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.failures) > 0 && now.Sub(s.failures[0]) > failureTime {
		s.failures = s.failures[1:]
	}
	if len(s.failures) >= mostFailures {
		return false
	}
	s.failures = append(s.failures, now)
	return true
}

// open makes a session.
func (s *sessions) open(hash string, now time.Time) (cookie string, _ *session) {
	cookie = rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*session{}
	}
	for len(s.all) >= mostSessions {
		oldest := ""
		for key, one := range s.all {
			if oldest == "" || one.begun.Before(s.all[oldest].begun) {
				oldest = key
			}
		}
		delete(s.all, oldest)
	}
	one := &session{forgery: rand.Text(), token: hash, begun: now}
	s.all[hashOf(cookie)] = one
	return cookie, one
}

func (s *sessions) find(cookie, hash string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := hashOf(cookie)
	one := s.all[key]
	if one == nil {
		return nil
	}
	if now.Sub(one.begun) > sessionTime || one.token != hash {
		delete(s.all, key)
		return nil
	}
	return one
}

func (s *sessions) end(cookie string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, hashOf(cookie))
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"greengate/configs"
	"greengate/core/admin"
	"greengate/subscriptions"
)

// allowRequest is what a person at the page wants to allow: a flow, and the row that he
// was shown for it.
type allowRequest struct {
	From  string `json:"from"`
	Topic string `json:"topic"`
	To    string `json:"to"`
	Row   string `json:"row"`
}

// allowed is the answer when the row is in force.
type allowed struct {
	Row        string `json:"row"`
	File       string `json:"file"`
	Line       int    `json:"line"`
	Generation uint64 `json:"generation"`
}

// errConflict is an error of a request whose time has passed: a look at the page again
// helps, or patience.
type errConflict struct{ error }

// answerAllow adds the row that allows a refused flow to the group file, as a person would
// with an editor, and takes it up. The row is the one that explain suggests; what the
// request says of it must be the same, so that nothing is added that nobody was shown.
func (g *gateway) answerAllow(w http.ResponseWriter, r *http.Request) {
	var ask allowRequest
	text, err := readRequest(r.Body)
	if err == nil {
		err = json.Unmarshal(text, &ask)
	}
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, errors.New(`the request is not {"from": ..., "topic": ..., "to": ..., "row": ...}`))
		return
	}
	done, err := g.allow(ask, "status page, "+admin.Asker(r))
	g.auditPage(r, "config", "allow", err, "row", ask.Row, "file", g.begun.File)
	var conflict errConflict
	switch {
	case errors.As(err, &conflict):
		admin.Refuse(w, http.StatusConflict, err)
	case err != nil:
		admin.Refuse(w, http.StatusUnprocessableEntity, err)
	default:
		admin.Answer(w, http.StatusOK, done)
	}
}

// allow changes the file and puts it in force, or leaves it as it was. It does so to the
// end, also when the one who asked has gone.
func (g *gateway) allow(ask allowRequest, by string) (*allowed, error) {
	now := g.current()
	e, err := explain(now.table, now.config.Names(), g.begun.Cloud != nil, ask.From, ask.Topic, ask.To)
	switch {
	case err != nil:
		return nil, err
	case e.Allowed:
		return nil, errConflict{errors.New("it is allowed already")}
	case e.Suggest == "":
		return nil, fmt.Errorf("no row can allow it: %s", e.Reason)
	case ask.To == "" && strings.Contains(e.Suggest, "RECEIVER"):
		return nil, errors.New("say who is to receive the messages")
	case e.Suggest != ask.Row:
		return nil, errConflict{fmt.Errorf("the row for it is another one now: %s", e.Suggest)}
	}
	file := g.begun.File
	release, err := tryLockFile(file)
	if err != nil {
		return nil, err
	}
	defer release()
	old, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the group file: %w", err)
	}
	text, line, err := configs.AddRow(old, ask.Row)
	if err != nil {
		return nil, err
	}
	if err := wouldAllow(file, text, ask); err != nil {
		return nil, err
	}
	if err := configs.WriteFile(file, text); err != nil {
		return nil, g.pasteYourself(ask.Row, err)
	}
	generation, err := g.reload(by)
	if err != nil {
		err = fmt.Errorf("the file with the row was not taken up: %w", err)
		if back := configs.WriteFile(file, old); back != nil {
			return nil, errors.Join(err, fmt.Errorf("the row is still in it: %w", back))
		}
		_, _ = g.reload(by) // so that the status tells of the file that is there; the log has its error
		return nil, err
	}
	return &allowed{Row: ask.Row, File: file, Line: line, Generation: generation}, nil
}

// wouldAllow looks whether the file does what was asked, before it is written.
func wouldAllow(file string, text []byte, ask allowRequest) error {
	c, err := configs.Parse(file, text)
	if err != nil {
		return err
	}
	table, err := subscriptions.Compile(c.Subscriptions, c.Site())
	if err != nil {
		return fmt.Errorf("compile subscriptions: %w", err)
	}
	e, err := explain(table, c.Names(), c.Cloud != nil, ask.From, ask.Topic, ask.To)
	if err != nil {
		return err
	}
	if !e.Allowed {
		return fmt.Errorf("the row would not allow it: %s", e.Reason)
	}
	return nil
}

// answerMayAllow tells whether this daemon can write the group file, so that the page
// says before what a person has to do himself.
func (g *gateway) answerMayAllow(w http.ResponseWriter, _ *http.Request) {
	type answer struct {
		File     string `json:"file"`
		Writable bool   `json:"writable"`
		How      string `json:"how,omitempty"` // what to do where it is not
	}
	a := answer{File: g.begun.File}
	if err := writable(a.File); err != nil {
		a.How = g.pasteYourself("", err).Error()
	} else {
		a.Writable = true
	}
	admin.Answer(w, http.StatusOK, a)
}

// writable reports whether configs.WriteFile could replace the file.
func writable(file string) error {
	target, err := filepath.EvalSymlinks(file)
	if err == nil {
		err = unix.Access(filepath.Dir(target), unix.W_OK|unix.X_OK)
	}
	return err
}

// pasteYourself says what to do where the daemon may not write the file: as a service
// it may not, on purpose, since a row is a right.
func (g *gateway) pasteYourself(row string, err error) error {
	what := "paste the row"
	if row != "" {
		what = "paste " + row
	}
	return fmt.Errorf("this daemon cannot write %s (%w): %s under subscriptions: there yourself, and have it taken up with `sudo greengate reload`",
		g.begun.File, err, what)
}

// tryLockFile is lockFile that does not wait: the daemon would keep the lock that it
// gets when nobody wants it any more.
func tryLockFile(file string) (release func(), err error) {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	f, err := os.Open(filepath.Dir(target))
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errConflict{fmt.Errorf("another command edits %s just now: try again in a minute", file)}
		}
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return func() { _ = f.Close() }, nil
}

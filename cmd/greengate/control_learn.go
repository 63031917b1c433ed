package main

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"greengate/configs"
	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/core/router"
	"greengate/subscriptions"
)

// The bounds of how long a recording may last.
const (
	minLearn = time.Second
	maxLearn = 30 * 24 * time.Hour
)

// learnName is the file in the data folder with the recording under way.
const learnName = "learn.json"

// openLearn makes the recorder, which goes on with a recording that a former
// process was in. The file is no reason not to start: a person is told.
func (g *gateway) openLearn(c *configs.Config) error {
	g.learn = subscriptions.NewRecorder(subscriptions.RecorderOptions{
		File: filepath.Join(c.Data, learnName), Log: g.log,
		Watch: func(see func(message.Endpoint, string)) func() {
			return g.router.Watch(func(e router.Event) {
				if e.From != probeEnd {
					see(e.From, e.Topic)
				}
			})
		},
		Wants: func(from message.Endpoint, topic string, yield func(message.Endpoint)) {
			g.broker.Subscribers(from, topic, func(to message.Endpoint, _ any) {
				if to != probeEnd {
					yield(to)
				}
			})
		},
		Table:   func() *subscriptions.Table { return g.current().table },
		Changes: g.router.Changes,
	})
	if err := g.learn.Load(); err != nil {
		g.log.Error("the recording of refused flows is lost; begin anew with `greengate learn start`", "component", "learn", "err", err)
	}
	return nil
}

func (g *gateway) serveLearnCommands() {
	g.admin.Handle("POST /v1/learn/start", http.HandlerFunc(g.answerLearnStart))
	g.admin.Handle("POST /v1/learn/stop", http.HandlerFunc(g.answerLearnStop))
	g.admin.Handle("GET /v1/learn", http.HandlerFunc(g.answerLearned))
	g.admin.Handle("GET /v1/learn/usage", http.HandlerFunc(g.answerUsage))
}

func (g *gateway) answerLearnStart(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err == nil && (d < minLearn || d > maxLearn) {
		err = fmt.Errorf("a recording lasts from %s to %s, not %s", minLearn, maxLearn, d)
	}
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return
	}
	if !g.learn.Start(d) {
		err = errors.New("a recording is on already (end it with `greengate learn stop`)")
		admin.Refuse(w, http.StatusConflict, err)
		return
	}
	g.audit("learn", "start", nil, "for", d)
	g.answerLearnState(w)
}

func (g *gateway) answerLearnStop(w http.ResponseWriter, _ *http.Request) {
	if !g.learn.Stop() {
		admin.Refuse(w, http.StatusConflict, errors.New("no recording is on (begin one with `greengate learn start`)"))
		return
	}
	g.audit("learn", "stop", nil)
	g.answerLearnState(w)
}

func (g *gateway) answerLearnState(w http.ResponseWriter) {
	rec, err := g.learn.Recorded()
	if err != nil {
		refuseRecording(w, err)
		return
	}
	admin.Answer(w, http.StatusOK, client.LearnState{
		Recording: rec.Recording, ForSeconds: int64(rec.For / time.Second), ElapsedSeconds: int64(rec.Elapsed / time.Second), Messages: rec.Messages,
	})
}

func refuseRecording(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, subscriptions.ErrNoRecording) {
		code, err = http.StatusNotFound, fmt.Errorf("%w (begin with `greengate learn start`)", err)
	}
	admin.Refuse(w, code, err)
}

// answerLearned proposes the rows that are missing.
func (g *gateway) answerLearned(w http.ResponseWriter, r *http.Request) {
	rec, err := g.learn.Recorded()
	if err != nil {
		refuseRecording(w, err)
		return
	}
	defer func() { go giveBackMemory() }() // a full recording takes some 40 MB to think about
	now := g.current()
	l, err := propose(&rec, now.table, now.config, r.URL.Query().Get("exact") != "")
	if err != nil {
		admin.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	admin.Answer(w, http.StatusOK, l)
}

// propose finds the rows for what was refused and is still refused.
func propose(rec *subscriptions.Recorded, table *subscriptions.Table, c *configs.Config, exact bool) (*client.Learned, error) {
	l := &client.Learned{
		Recording: rec.Recording, StartedAt: rec.Started, ElapsedSeconds: int64(rec.Elapsed / time.Second), ForSeconds: int64(rec.For / time.Second),
		Restarts: rec.Restarts, Messages: rec.Messages, Missed: rec.Missed, Exact: exact,
		Rows: []client.LearnedRow{}, Open: []client.LearnedRow{}, Still: []client.LearnedFlow{}, Notes: learnNotes(rec, c),
	}
	var flows []subscriptions.Flow
	count := map[subscriptions.Flow]uint64{}
	for _, f := range rec.Flows {
		m := table.Lookup(f.From, f.Topic)
		for _, to := range f.Refused {
			l.Refused++
			if m != nil {
				// A receiver that is not known may be any that the row leads to.
				if _, ok := m.Allows(to); ok || to == (message.Endpoint{}) {
					l.Since++
					continue
				}
			}
			flow := subscriptions.Flow{From: f.From, Topic: f.Topic, To: to}
			flows, count[flow] = append(flows, flow), f.Count
		}
	}
	p, err := subscriptions.Generalise(flows, c.Site(), exact)
	if err != nil {
		return nil, err
	}
	// The proof: the gate's own Lookup, asked of a table that has these rows only.
	wrong, err := p.Verify(flows, c.Site())
	if err != nil {
		return nil, err
	}
	for _, f := range wrong {
		p.Refused = append(p.Refused, subscriptions.StillRefused{Flow: f, Reason: "the rows found do not allow it, which is a fault of greengate"})
	}
	l.Rows, l.Open = learnedRows(p.Rows), learnedRows(p.Open)
	for _, f := range p.Refused {
		l.Still = append(l.Still, client.LearnedFlow{From: f.From.String(), Topic: f.Topic, To: target(f.To), Count: count[f.Flow], Reason: f.Reason})
	}
	return l, nil
}

func learnedRows(rows []subscriptions.Proposed) []client.LearnedRow {
	list := make([]client.LearnedRow, len(rows))
	for i, r := range rows {
		list[i] = client.LearnedRow{Text: r.Text, Flows: r.Flows, Besides: append([]string{}, r.Besides...)}
	}
	return list
}

// learnNotes says what the recording may lack.
func learnNotes(rec *subscriptions.Recorded, c *configs.Config) []string {
	notes := []string{}
	say := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if rec.Restarts > 0 {
		say("the daemon was restarted %d times during the recording; what was sent meanwhile, and up to a minute before a crash, is not in it", rec.Restarts)
	}
	if rec.Missed > 0 {
		say("%d messages were of sources and topics for which the recording had no room; their flows are not in it", rec.Missed)
	}
	if rec.SaveFailed != nil {
		say("the recording is in memory only, a restart loses it: %v", rec.SaveFailed)
	}
	if c.Broker.StrictSubscribe {
		say("broker.strict_subscribe refuses subscriptions without a row, so receivers are not known; switch it off while recording")
	}
	return notes
}

// answerUsage tells what was recorded of allowed flows, for the linter.
func (g *gateway) answerUsage(w http.ResponseWriter, _ *http.Request) {
	rec, err := g.learn.Recorded()
	if err != nil {
		refuseRecording(w, err)
		return
	}
	u := client.Usage{ElapsedSeconds: int64(rec.Elapsed / time.Second), Complete: rec.Missed == 0 && rec.Evicted == 0, Flows: []client.UsedFlow{}}
	for _, f := range rec.Flows {
		if len(f.Allowed) == 0 {
			continue
		}
		used := client.UsedFlow{From: f.From.String(), Topic: f.Topic, Count: f.Count}
		for _, to := range f.Allowed {
			used.To = append(used.To, to.String())
		}
		u.Flows = append(u.Flows, used)
	}
	admin.Answer(w, http.StatusOK, u)
}

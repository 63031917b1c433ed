package main

import (
	"encoding/base64"
	"net/http"
	"unicode/utf8"

	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/core/router"
)

// serveAdmin hangs the gateway's answers on the control socket.
func (g *gateway) serveAdmin() {
	for _, report := range []admin.ReporterFunc{
		g.reportSite, g.reportDevices, g.reportLedger, g.reportRoutes, g.reportListeners,
		g.reportShadows, g.reportPins, g.reportFunctions, g.reportFaults, g.reportStores, g.reportWrites,
	} {
		g.admin.Register(report)
	}
	g.admin.Handle("POST /v1/reload", http.HandlerFunc(g.answerReload))
	g.admin.Handle("GET /v1/stores", http.HandlerFunc(g.answerStores))
	g.admin.Handle("GET /v1/goroutines", http.HandlerFunc(g.answerGoroutines))
	g.admin.Handle("POST /v1/plan", http.HandlerFunc(g.answerPlan))
	g.admin.Handle("GET /v1/explain", http.HandlerFunc(g.answerExplain))
	g.admin.Handle("GET /v1/watch", http.HandlerFunc(g.answerWatch))
	g.serveShadowCommands()
	g.servePinCommands()
	g.serveSpoolCommands()
	g.serveFunctionCommands()
	g.serveLearnCommands()
}

// audit tells the log of a command that came through the control socket and was
// to change something: what it did, or why it did nothing.
func (g *gateway) audit(component, op string, err error, about ...any) {
	said, about := "carried out a command", append([]any{"component", component, "op", op, "by", "control socket"}, about...)
	if err != nil {
		said, about = "did not carry out a command", append(about, "err", err)
	}
	g.log.Info(said, about...)
}

func (g *gateway) answerReload(w http.ResponseWriter, r *http.Request) {
	if _, err := g.reload("control socket, " + admin.Asker(r)); err != nil {
		admin.Refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	now := g.current()
	admin.Answer(w, http.StatusOK, client.Reloaded{Generation: now.generation, Waiting: append([]string{}, now.waiting...)})
}

func (g *gateway) answerExplain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	now := g.current()
	e, err := explain(now.table, now.config.Names(), g.begun.Cloud != nil, q.Get("from"), q.Get("topic"), q.Get("to"))
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, err)
		return
	}
	admin.Answer(w, http.StatusOK, e)
}

func (g *gateway) answerWatch(w http.ResponseWriter, r *http.Request) {
	subscribe := g.subscribe
	if client.ReadWatchFilter(r.URL.Query()).Payload {
		subscribe = func(filter string, deliver func(client.Event)) (func(), error) {
			return g.subscribeTo(filter, func(e router.Event) {
				deliver(wholeEvent(e))
			})
		}
	}
	admin.WatchHandler(subscribe).ServeHTTP(w, r)
}

// subscribe attaches a watcher to the router.
func (g *gateway) subscribe(filter string, deliver func(client.Event)) (cancel func(), err error) {
	return g.subscribeTo(filter, func(e router.Event) { deliver(event(e)) })
}

func (g *gateway) subscribeTo(filter string, deliver func(router.Event)) (cancel func(), err error) {
	if filter != "" {
		if err := message.CheckFilter(filter); err != nil {
			return nil, err
		}
	}
	return g.router.Watch(func(e router.Event) {
		if e.From == probeEnd || filter != "" && !message.Match(filter, e.Topic) {
			return
		}
		deliver(e)
	}), nil
}

// event is what became of a message in the words of the control socket.
func event(e router.Event) client.Event {
	return client.Event{
		Time: e.Time, Verdict: e.Verdict.String(), Reason: string(e.Reason),
		From: e.From.String(), Topic: e.Topic, To: target(e.To), Bytes: e.Bytes,
	}
}

// wholeEvent is event with the payload, as text when it is some. A message that was
// dropped after it was sent may have none any more.
func wholeEvent(e router.Event) client.Event {
	told := event(e)
	switch payload := e.Message.Payload; {
	case len(payload) < e.Bytes:
	case utf8.Valid(payload):
		text := string(payload)
		told.Payload = &text
	default:
		told.Base64 = base64.StdEncoding.EncodeToString(payload)
	}
	return told
}

// target names an endpoint; empty when there is none.
func target(e message.Endpoint) string {
	if e == (message.Endpoint{}) {
		return ""
	}
	return e.String()
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/localshadow"
)

// serveShadowCommands hangs `greengate shadow` on the control socket. Whoever may
// open the socket may use every shadow: the table is for messages. What changes is
// published all the same, through the gate.
func (g *gateway) serveShadowCommands() {
	g.admin.Handle("GET /v1/shadow", http.HandlerFunc(g.answerGetShadow))
	g.admin.Handle("POST /v1/shadow", http.HandlerFunc(g.answerUpdateShadow))
	g.admin.Handle("DELETE /v1/shadow", http.HandlerFunc(g.answerDeleteShadow))
	g.admin.Handle("GET /v1/shadow/history", http.HandlerFunc(g.answerShadowHistory))
	g.admin.Handle("GET /v1/shadow/diff", http.HandlerFunc(g.answerShadowDiff))
	g.admin.Handle("POST /v1/shadow/revert", http.HandlerFunc(g.answerRevertShadow))
	g.admin.Handle("GET /v1/shadows", http.HandlerFunc(g.answerListShadows))
}

func (g *gateway) answerGetShadow(w http.ResponseWriter, r *http.Request) {
	thing, name := shadowOf(r)
	document, err := g.shadows.Get(r.Context(), thing, name, nil)
	answerShadow(w, document, err)
}

func shadowOf(r *http.Request) (thing, name string) {
	q := r.URL.Query()
	return q.Get("thing"), q.Get("name")
}

func (g *gateway) answerUpdateShadow(w http.ResponseWriter, r *http.Request) {
	request, err := readRequest(r.Body)
	if err != nil {
		admin.Refuse(w, http.StatusBadRequest, fmt.Errorf("read the document: %w", err))
		return
	}
	g.changeShadow(w, r, "update", func(ctx context.Context, thing, name string) ([]byte, error) {
		return g.shadows.Update(ctx, thing, name, request, operator)
	})
}

// readRequest reads a request to the shadow service, no more of it than the
// service looks at: one that is longer it refuses, however long it is.
func readRequest(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, int64(localshadow.DefaultLimits().Payload)+1))
}

func (g *gateway) answerDeleteShadow(w http.ResponseWriter, r *http.Request) {
	g.changeShadow(w, r, "delete", func(ctx context.Context, thing, name string) ([]byte, error) {
		return g.shadows.Delete(ctx, thing, name, nil, operator)
	})
}

// changeShadow does what is asked to the end, even when the one who asked has
// gone: the log is to say what took place.
func (g *gateway) changeShadow(w http.ResponseWriter, r *http.Request, op string, work func(ctx context.Context, thing, name string) ([]byte, error)) {
	thing, name := shadowOf(r)
	accepted, err := work(context.WithoutCancel(r.Context()), thing, name)
	g.auditShadow(op, thing, name, accepted, err)
	answerShadow(w, accepted, err)
}

func (g *gateway) auditShadow(op, thing, name string, accepted []byte, err error) {
	about := []any{"thing", thing}
	if name != "" {
		about = append(about, "shadow", name)
	}
	var d struct{ Version int64 }
	if err == nil && json.Unmarshal(accepted, &d) == nil {
		about = append(about, "version", d.Version)
	}
	g.audit("shadow", op, err, about...)
}

// answerShadow passes on the word of the service: its document, or its rejection
// under the code that is one of HTTP.
func answerShadow(w http.ResponseWriter, document []byte, err error) {
	var rejection *localshadow.Rejection
	switch {
	case err == nil:
		admin.Answer(w, http.StatusOK, json.RawMessage(document))
	case errors.As(err, &rejection):
		admin.Refuse(w, rejection.Code, err)
	case errors.Is(err, localshadow.ErrTooOld), errors.Is(err, localshadow.ErrNoVersion):
		admin.Refuse(w, http.StatusNotFound, err)
	case errors.Is(err, localshadow.ErrStopped):
		admin.Refuse(w, http.StatusServiceUnavailable, err)
	default:
		admin.Refuse(w, http.StatusInternalServerError, err)
	}
}

func (g *gateway) answerListShadows(w http.ResponseWriter, r *http.Request) {
	thing, _ := shadowOf(r)
	if thing != "" {
		if err := message.CheckThing(thing); err != nil {
			admin.Refuse(w, http.StatusBadRequest, err)
			return
		}
	}
	list := client.ShadowList{Shadows: []client.Shadow{}}
	err := g.shadows.List(r.Context(), thing, func(i localshadow.Info) bool {
		list.Shadows = append(list.Shadows, shadowInfo(i))
		return true
	})
	if err != nil {
		admin.Refuse(w, http.StatusInternalServerError, err)
		return
	}
	admin.Answer(w, http.StatusOK, list)
}

package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"greengate/functions/endpoint"
)

// What a function reaches through greengrasssdk passes the gate under its own name.
func TestHomeOfAFunction(t *testing.T) {
	g := echoGateway(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	caller, echo := g.functions.home("caller"), g.functions.home("echo")

	if answer, err := caller.Invoke(ctx, "echo", []byte("ping"), false); err != nil || string(answer) != "ping" {
		t.Errorf("the other function answers %q, %v", answer, err)
	}
	if answer, err := caller.Invoke(ctx, "echo", []byte("on"), true); err != nil || answer != nil {
		t.Errorf("a call that nobody waits for is answered with %q, %v", answer, err)
	}
	for g.listPins()[0].Level != "on" { // its answer has gone to the pin
		if ctx.Err() != nil {
			t.Fatal("the call that nobody waits for was not made")
		}
	}
	var denied *endpoint.FunctionError
	if _, err := echo.Invoke(ctx, "caller", []byte("{}"), false); !errors.As(err, &denied) || !strings.Contains(string(denied.Payload), "no row lets function:echo call function:caller on $functions/caller/invocations") {
		t.Errorf("without a row: %v", err)
	}

	if err := echo.Publish(ctx, "nowhere", []byte("x")); err != nil {
		t.Errorf("what no row allows is dropped, as V1 does, and not an error: %v", err)
	}
	if err := echo.Publish(ctx, "no/+/topic", nil); err == nil {
		t.Error("a topic that is none is no error")
	}

	var rejected *endpoint.ShadowError
	if _, err := caller.Shadow(ctx, "get", "lamp", nil); !errors.As(err, &rejected) || rejected.Code != 404 {
		t.Errorf("the shadow that is not there: %v", err)
	}
	if doc, err := caller.Shadow(ctx, "update", "lamp", []byte(`{"state": {"reported": {"lit": true}}}`)); err != nil || !strings.Contains(string(doc), `"lit":true`) {
		t.Errorf("update: %s, %v", doc, err)
	}
	if doc, err := caller.Shadow(ctx, "get", "lamp", nil); err != nil || !strings.Contains(string(doc), `"lit":true`) {
		t.Errorf("get: %s, %v", doc, err)
	}
	if _, err := caller.Shadow(ctx, "delete", "lamp", nil); !errors.As(err, &rejected) || rejected.Code != 403 {
		t.Errorf("delete, which no row allows: %v", err)
	}
	if _, err := echo.Shadow(ctx, "get", "lamp", nil); !errors.As(err, &rejected) || rejected.Code != 403 {
		t.Errorf("the shadow without a row: %v", err)
	}
	for g.router.Ledger().Waiting != 0 && ctx.Err() == nil { // the last call is settled behind its answer
	}
	if n := g.router.Ledger(); n.Accepted != n.Delivered+n.Refused+n.Expired+n.Dropped+n.Waiting || n.Waiting != 0 {
		t.Errorf("ledger %+v", n)
	}
}

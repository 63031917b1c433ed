package dataplane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// api is the description that is served, as the tests use it.
type api struct {
	Paths map[string]map[string]json.RawMessage

	mu       sync.Mutex // guards compiler
	compiler *jsonschema.Compiler
}

// describedOperation is one operation of it.
type describedOperation struct {
	OperationID string
	Parameters  []struct{ Name, In string }
	Responses   map[string]json.RawMessage
}

const base = "mem:///openapi.json"

var readAPI = sync.OnceValue(func() *api {
	a := &api{compiler: jsonschema.NewCompiler()}
	if err := json.Unmarshal(openAPI, a); err != nil {
		panic(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err == nil {
		err = a.compiler.AddResource(base, document)
	}
	if err != nil {
		panic(err)
	}
	return a
})

// find returns the described path that a real one is, and the operation there.
func (a *api) find(t *testing.T, method, path string) (described string, op *describedOperation) {
	t.Helper()
	for candidate, methods := range a.Paths {
		if !fits(candidate, path) {
			continue
		}
		raw, ok := methods[strings.ToLower(method)]
		if !ok || method != strings.ToUpper(method) {
			return candidate, nil
		}
		op = &describedOperation{}
		if err := json.Unmarshal(raw, op); err != nil {
			t.Fatal(err)
		}
		return candidate, op
	}
	return "", nil
}

func fits(described, path string) bool {
	want, got := strings.Split(described, "/"), strings.Split(path, "/")
	for i, w := range want {
		switch {
		case i >= len(got):
			return false
		case w == "{topic}":
			return true
		case w != got[i] && !strings.HasPrefix(w, "{"):
			return false
		}
	}
	return len(want) == len(got)
}

// hold fails the test when an answer is not as described.
func (a *api) hold(t *testing.T, method, path string, status int, body string) {
	t.Helper()
	described, op := a.find(t, method, path)
	at := base + "#/components/schemas/Told"
	switch {
	case status == http.StatusTooManyRequests: // whatever was asked for
	case described == "":
		if status != http.StatusNotFound {
			t.Errorf("%s %s is not described, and answered with %d", method, path, status)
		}
	case op == nil:
		if status != http.StatusMethodNotAllowed && status != http.StatusBadRequest {
			t.Errorf("%s %s is not described, and answered with %d", method, path, status)
		}
	case op.Responses[fmt.Sprint(status)] == nil:
		t.Errorf("%s %s: %d is not described", method, path, status)
	case status == http.StatusOK:
		escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
		at = base + "#/paths/" + escape.Replace(described) + "/" + strings.ToLower(method) + "/responses/200/content/application~1json/schema"
	}
	a.mu.Lock()
	schema, err := a.compiler.Compile(at)
	a.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%s %s: the answer %.200q is not as described: %v", method, path, body, err)
	}
}

// TestDescription holds the description to the handlers: they have the same
// operations, no more and no less.
func TestDescription(t *testing.T) {
	s := newSite(t)
	status, body, _ := s.do(request{method: "GET", target: "/openapi.json"})
	if status != 200 || body != string(openAPI) {
		t.Errorf("served is %d %.100q", status, body)
	}
	var described, served []string
	for path, methods := range s.api.Paths {
		for method := range methods {
			if method == "parameters" {
				continue
			}
			_, op := s.api.find(t, strings.ToUpper(method), path)
			described = append(described, op.OperationID+" "+strings.ToUpper(method)+" "+path)
		}
	}
	for _, r := range resources {
		for method, op := range r.does {
			path := "/" + strings.Join(r.path, "/")
			path = strings.Replace(strings.Replace(path, "**", "{topic}", 1), "*", "{thingName}", 1)
			served = append(served, op.name+" "+method+" "+path)
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described:\n%s\nserved:\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "get", "X"} {
		for path := range s.api.Paths {
			_, op := s.api.find(t, method, path)
			target := strings.NewReplacer("{topic}", "room%2Fx", "{thingName}", "sensor").Replace(path)
			status, _, header := s.do(request{method: method, target: target, body: `{}`})
			if exists := op != nil; exists == (status == http.StatusMethodNotAllowed) {
				t.Errorf("%s %s: %d", method, path, status)
			} else if !exists && header.Get("Allow") == "" {
				t.Errorf("%s %s: the head does not say what is allowed", method, path)
			}
		}
	}
}

// TestDescribedParameters: each parameter of the description is one that the
// handlers look at.
func TestDescribedParameters(t *testing.T) {
	s := newSite(t)
	nonsense := map[string]string{
		"qos": "3", "retain": "maybe", "contentType": "%00", "responseTopic": "a/%23", "messageExpiry": "-1",
		"name": "", "pageSize": "101", "maxResults": "201", "nextToken": "*",
		"x-amz-mqtt5-user-properties": "e30=", "x-amz-mqtt5-payload-format-indicator": "x", "x-amz-mqtt5-correlation-data": "*",
	}
	tried := map[string]bool{}
	for path, methods := range s.api.Paths {
		for method := range methods {
			if method == "parameters" {
				continue
			}
			_, op := s.api.find(t, strings.ToUpper(method), path)
			target := strings.NewReplacer("{topic}", "room%2Fx", "{thingName}", "sensor").Replace(path)
			for _, p := range op.Parameters {
				r := request{method: strings.ToUpper(method), target: target, header: http.Header{}}
				value, ok := nonsense[p.Name]
				switch {
				case p.In == "path" || op.OperationID == "ListNamedShadowsForThing" && p.Name == "nextToken":
					continue // that of the shadow service
				case !ok:
					t.Errorf("%s of %s is not tried", p.Name, op.OperationID)
				case p.In == "query":
					r.target += "?" + p.Name + "=" + value
				default:
					r.header.Set(p.Name, value)
				}
				tried[p.Name] = true
				if status, body, _ := s.do(r); status != 400 {
					t.Errorf("%s %s with a bad %s: %d %s", r.method, r.target, p.Name, status, body)
				}
			}
		}
	}
	if len(tried) < 10 {
		t.Errorf("only %v were tried", tried)
	}
}

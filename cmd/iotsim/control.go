package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"greengate/sync/cloud/cloudtest"
)

// report is the answer to GET /status.
type report struct {
	Address, DataAddress, Name string
	Status                     cloudtest.Status
	Faults                     cloudtest.Faults
	Violations                 []cloudtest.Violation // the last ones
}

// controlOf serves the commands that change a running cloud: HTTP over the Unix
// socket, parameters in the query, a text as error.
func controlOf(c *cloudtest.Cloud) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		r := report{Address: c.Addr(), DataAddress: c.DataAddr(), Name: c.Name(), Status: c.Status(), Faults: c.Faults()}
		r.Violations = c.Violations()
		r.Violations = r.Violations[max(0, len(r.Violations)-10):]
		answer(w, r, nil)
	})
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			result, err := f(r)
			answer(w, result, err)
		})
	}
	handle("POST /fault", func(r *http.Request) (any, error) {
		return nil, c.SetFault(r.FormValue("name"), r.FormValue("value"))
	})
	handle("POST /cut", func(r *http.Request) (any, error) {
		return c.Cut(r.FormValue("client"), r.FormValue("fin") == ""), nil
	})
	handle("POST /disconnect", func(r *http.Request) (any, error) {
		code, err := strconv.ParseUint(r.FormValue("code"), 0, 8)
		if err != nil {
			return nil, err
		}
		return c.Disconnect(r.FormValue("client"), byte(code)), nil
	})
	handle("POST /revoke", func(r *http.Request) (any, error) { c.Revoke(r.FormValue("thing")); return nil, nil })
	handle("POST /restore", func(r *http.Request) (any, error) { c.Restore(r.FormValue("thing")); return nil, nil })
	handle("POST /publish", func(r *http.Request) (any, error) {
		payload, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		q := r.URL.Query()
		return nil, c.Publish(q.Get("topic"), payload, 1, q.Get("retain") != "")
	})
	handle("POST /shadow", func(r *http.Request) (any, error) {
		document, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return raw(useShadow(c, r, document))
	})
	return mux
}

// useShadow does get, update, delete or list.
func useShadow(c *cloudtest.Cloud, r *http.Request, document []byte) ([]byte, error) {
	q := r.URL.Query()
	thing, name := q.Get("thing"), q.Get("name")
	switch q.Get("do") {
	case "get":
		return c.GetShadow(thing, name)
	case "update":
		return c.UpdateShadow(thing, name, document)
	case "delete":
		return c.DeleteShadow(thing, name)
	case "list":
		return json.Marshal(c.ListShadows(thing))
	}
	return nil, errors.New("a shadow can be got, updated, deleted and listed")
}

func raw(document []byte, err error) (any, error) { return json.RawMessage(document), err }

// answer writes a result as JSON, or an error as a text with status 400: all
// errors of commands are the caller's.
func answer(w http.ResponseWriter, result any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result) // an error means that the caller has left
}

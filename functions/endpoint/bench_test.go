package endpoint_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"greengate/functions/endpoint"
)

// BenchmarkRuntimeAPI measures warm calls, each from its caller to a client and
// back, beside requests that bare net/http answers, over one connection each.
func BenchmarkRuntimeAPI(b *testing.B) {
	event := bytes.Repeat([]byte("e"), 200)
	b.Run("bare net/http", func(b *testing.B) {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(event) })}
		go server.Serve(l)
		defer server.Close()
		url := "http://" + l.Addr().String() + "/"
		for b.Loop() {
			if _, err := roundTrip("GET", url, nil); err != nil {
				b.Fatal(err)
			}
		}
		perSecond(b, "requests/s")
	})
	b.Run("calls", func(b *testing.B) {
		var c *calls
		h := open(b, func(o *endpoint.Options) { c = o.Calls.(*calls) })
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan struct{})
		go func() { // the function
			defer close(gone)
			for ctx.Err() == nil {
				id, err := roundTrip("GET", "http://"+h.Address()+runtimePath+"invocation/next", nil)
				if err != nil {
					return
				}
				if _, err := roundTrip("POST", "http://"+h.Address()+runtimePath+"invocation/"+id+"/response", event); err != nil {
					return
				}
			}
		}()
		i := &endpoint.Invocation{ID: "8476a536-e9f4-11e8-9739-2dfe598c3fcd", Payload: event, Deadline: time.Now().Add(time.Hour), Subject: "a/b"}
		for b.Loop() {
			c.next <- i
			<-c.ends
		}
		perSecond(b, "calls/s")
		cancel()
		h.Close()
		<-gone
	})
}

func perSecond(b *testing.B, unit string) { b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), unit) }

// roundTrip is one request; it returns the id of the call that it got.
func roundTrip(method, url string, body []byte) (string, error) {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.Header.Get("Lambda-Runtime-Aws-Request-Id"), err
}

// Command actor is a function of the tests: it does what its events say.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	N    int    `json:"n"`
	Path string `json:"path,omitempty"`
}

var calls int

func handle(ctx context.Context, e event) (any, error) {
	calls++
	switch e.Do {
	case "hang":
		select {}
	case "exit":
		os.Exit(3)
	case "fail":
		return nil, fmt.Errorf("no %d", e.N)
	case "eat":
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := range b {
				b[i] = byte(i)
			}
			all = append(all, b)
			_ = all
		}
	case "print":
		for i := range e.N {
			fmt.Println("line", i)
		}
		fmt.Fprintln(os.Stderr, "to stderr")
	case "sleep":
		time.Sleep(time.Duration(e.N) * time.Millisecond)
	case "write":
		return nil, os.WriteFile(e.Path, []byte("x"), 0o644)
	case "count":
		return calls, nil
	case "note": // for the kill test: which events were seen
		f, err := os.OpenFile(e.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		_, err = fmt.Fprintln(f, e.N)
		return e.N, err
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return map[string]any{
			"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "subject": lc.ClientContext.Custom["subject"],
			"name": lambdacontext.FunctionName, "left": time.Until(deadline).Milliseconds(), "home": os.Getenv("HOME"), "own": os.Getenv("OWN"),
		}, nil
	}
	return e, nil
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		fmt.Fprintln(os.Stderr, "no database")
		os.Exit(4)
	case "hang":
		select {}
	case "serve": // as bare as it can be, for a comparison
		fmt.Println(http.ListenAndServe(os.Getenv("SERVE"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(body)
		})))
		os.Exit(1)
	}
	lambda.Start(func(ctx context.Context, raw json.RawMessage) (any, error) {
		var e event
		_ = json.Unmarshal(raw, &e)
		return handle(ctx, e)
	})
}

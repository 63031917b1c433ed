package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

// work is the local function of a soak: an AWS Lambda function without a runtime
// client. It answers each event with the event, and exits in the middle of every
// so many-th call of an instance, which is then made again by a new one.
func work(ctx context.Context) error {
	crashAfter, err := strconv.Atoi(os.Getenv("CRASH_AFTER"))
	if err != nil {
		return fmt.Errorf("read CRASH_AFTER: %w", err)
	}
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for calls := 1; ; calls++ {
		id, event, err := ask(ctx, http.MethodGet, base+"next", nil)
		if err != nil {
			return err
		}
		if calls >= crashAfter {
			os.Exit(3)
		}
		if _, _, err := ask(ctx, http.MethodPost, base+id+"/response", event); err != nil {
			return err
		}
	}
}

func ask(ctx context.Context, method, url string, body []byte) (id string, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return "", nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", nil, fmt.Errorf("ask the Runtime API: %w", err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, answer)
	}
	return resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), answer, err
}

package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// CopyStores returns a tar archive of the daemon's databases, each a consistent copy. A
// read that ends with an error other than io.EOF has not seen all of it.
func (c *Client) CopyStores(ctx context.Context) (io.ReadCloser, error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/stores", nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Goroutines says what every goroutine of the daemon does.
func (c *Client) Goroutines(ctx context.Context) (string, error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/goroutines", nil, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("read the goroutines: %w", err)
	}
	return string(text), nil
}

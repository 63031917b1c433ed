package dataplane

import (
	"context"
	_ "embed"
	"net/http"
)

//go:embed openapi.json
var openAPI []byte

// describe answers with the description of this API.
func (c *call) describe(context.Context) error {
	c.send(http.StatusOK, openAPI)
	return nil
}

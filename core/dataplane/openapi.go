package dataplane

import (
	"context"
	_ "embed"
)

//go:embed openapi.json
var openAPI []byte

// describe answers with the description of this API.
func (c *call) describe(context.Context) error {
	return c.show(openAPI)
}

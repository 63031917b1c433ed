package dataplane

import (
	"context"
	"net/http"
)

// shadow returns the name of the shadow that the URL asks for: "" for the
// classic one. A name that is there but empty is none.
func (c *call) shadow() (string, error) {
	p := c.params()
	name := p.values.Get("name")
	if name == "" && p.values.Has("name") {
		p.fail("name is empty; leave it out for the classic shadow")
	}
	return name, p.err
}

// getShadow is GetThingShadow.
func (c *call) getShadow(ctx context.Context) error {
	name, err := c.shadow()
	if err != nil {
		return err
	}
	document, err := c.h.o.Shadows.Get(ctx, c.from, c.arg, name)
	if err != nil {
		return err
	}
	return c.show(document)
}

// updateShadow is UpdateThingShadow.
func (c *call) updateShadow(ctx context.Context) error {
	name, err := c.shadow()
	if err != nil {
		return err
	}
	request, err := c.body(c.h.o.Limits.Shadow)
	if err != nil {
		return err
	}
	accepted, err := c.h.o.Shadows.Update(ctx, c.from, c.arg, name, request)
	if err != nil {
		return err
	}
	c.send(http.StatusOK, accepted)
	return nil
}

// deleteShadow is DeleteThingShadow.
func (c *call) deleteShadow(ctx context.Context) error {
	name, err := c.shadow()
	if err != nil {
		return err
	}
	accepted, err := c.h.o.Shadows.Delete(ctx, c.from, c.arg, name)
	if err != nil {
		return err
	}
	c.send(http.StatusOK, accepted)
	return nil
}

// maxShadowPage is the most names of a page (AWS: ListNamedShadowsForThing).
const maxShadowPage = 100

// listShadows is ListNamedShadowsForThing.
func (c *call) listShadows(ctx context.Context) error {
	p := c.params()
	size, _ := p.number("pageSize", 1, maxShadowPage)
	if p.err != nil {
		return p.err
	}
	page, err := c.h.o.Shadows.List(ctx, c.from, c.arg, int(size), p.values.Get("nextToken"))
	if err != nil {
		return err
	}
	return c.show(page)
}

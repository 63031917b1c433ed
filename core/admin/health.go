package admin

import (
	"net/http"

	"greengate/core/admin/client"
)

// Vital says what it means that a part is not well.
type Vital int

const (
	// Worth is a part without which the gateway does its work for the devices: it is
	// shown, and the answer stays 200.
	Worth Vital = iota
	// Ready is a part that devices need: /readyz is 503 without it.
	Ready
	// Alive is a part without which a restart is the only help: /healthz too is 503.
	Alive
)

// check is a part of the gateway.
type check struct {
	name  string
	vital Vital
	well  func() error
}

// Check adds a part to /healthz and /readyz. well returns what is wrong with it, nil
// when all is well, and does not wait.
func (p *Page) Check(name string, vital Vital, well func() error) {
	p.checks = append(p.checks, check{name, vital, well})
}

// Health is the answer of /healthz and /readyz.
type Health struct {
	OK    bool   `json:"ok"`
	Parts []Part `json:"parts"`
}

// Part is how one part is.
type Part struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Needed   bool   `json:"needed"` // the answer is 503 without it
	Problem  string `json:"problem,omitempty"`
	NextStep string `json:"next_step,omitempty"`
}

// healthz tells whether a restart would help; readyz whether devices are served.
func (p *Page) healthz(w http.ResponseWriter, _ *http.Request) { p.answerHealth(w, Alive) }
func (p *Page) readyz(w http.ResponseWriter, _ *http.Request)  { p.answerHealth(w, Ready) }

func (p *Page) answerHealth(w http.ResponseWriter, level Vital) {
	h := Health{OK: true, Parts: []Part{}}
	for _, c := range p.checks {
		part := Part{Name: c.name, OK: true, Needed: c.vital >= level}
		if err := c.well(); err != nil {
			part.OK, part.Problem, part.NextStep = false, err.Error(), nextStep(err)
			h.OK = h.OK && !part.Needed
		}
		h.Parts = append(h.Parts, part)
	}
	code := http.StatusOK
	if !h.OK {
		code = http.StatusServiceUnavailable
	}
	Answer(w, code, h)
}

// Problem is an error with what a person does about it.
type Problem struct{ client.Fault }

func (p Problem) Error() string { return p.Message }

func nextStep(err error) string {
	if p, ok := err.(Problem); ok {
		return p.NextStep
	}
	return ""
}

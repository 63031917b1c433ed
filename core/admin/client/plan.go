package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Plan is the answer of `greengate plan --json`: what a group file would change. Its
// lists are never null.
type Plan struct {
	File    string    `json:"file"`
	Against string    `json:"against"` // daemon: what is in force; file: the daemon is not running
	Devices PlanNames `json:"devices"`
	CutOff  []PlanCut `json:"cut_off"` // devices that are connected, and would not stay so
	Rows    PlanRows  `json:"rows"`
	Pins    PlanNames `json:"pins"`

	Functions PlanFunctions `json:"functions"`

	Keys    []PlanKey `json:"keys"`    // other keys whose values change
	Restart []string  `json:"restart"` // keys that take effect at the next start only
	Notes   []string  `json:"notes"`   // what the new file may hold but its author hardly meant
}

// PlanNames are the entries of a list that come, go and change, by name.
type PlanNames struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
}

// PlanCut is a device that would lose its connection.
type PlanCut struct {
	Thing string `json:"thing"`
	Why   string `json:"why"`
}

// PlanRows are the rows that come and go.
type PlanRows struct {
	Added   []PlanRow `json:"added"`
	Removed []PlanRow `json:"removed"`
	Kept    int       `json:"kept"`
}

// PlanRow is a row, with its line in the file that has it.
type PlanRow struct {
	Line int    `json:"line"`
	Text string `json:"text"`
}

// PlanFunctions are the functions that come, go and change.
type PlanFunctions struct {
	Added   []string       `json:"added"`
	Removed []string       `json:"removed"`
	Changed []PlanFunction `json:"changed"`
}

// PlanFunction is a function whose keys change. Of what stands in its environment the values
// are "...": they may be secrets.
type PlanFunction struct {
	Name string    `json:"name"`
	Keys []PlanKey `json:"keys"`
}

// PlanKey is a key of the group file with its value before and after; a side that is
// absent has no value.
type PlanKey struct {
	Key  string          `json:"key"`
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
}

// Empty reports whether nothing would change.
func (p *Plan) Empty() bool {
	f := p.Functions
	return p.Devices.empty() && p.Pins.empty() &&
		len(f.Added)+len(f.Removed)+len(f.Changed)+len(p.Rows.Added)+len(p.Rows.Removed)+len(p.Keys) == 0
}

func (n *PlanNames) empty() bool { return len(n.Added)+len(n.Removed)+len(n.Changed) == 0 }

// Plan asks what a group file, given by its text, would change. A *Refusal tells its
// faults.
func (c *Client) Plan(ctx context.Context, text []byte) (*Plan, error) {
	p := new(Plan)
	if err := c.call(ctx, http.MethodPost, "/v1/plan", nil, text, p); err != nil {
		return nil, err
	}
	return p, nil
}

// MarshalJSON writes the empty lists as [].
func (p Plan) MarshalJSON() ([]byte, error) {
	type plain Plan // without this method
	q := plain(p)
	for _, n := range []*PlanNames{&q.Devices, &q.Pins} {
		n.Added, n.Removed, n.Changed = notNil(n.Added), notNil(n.Removed), notNil(n.Changed)
	}
	f := &q.Functions
	f.Added, f.Removed, f.Changed = notNil(f.Added), notNil(f.Removed), notNil(f.Changed)
	q.CutOff, q.Keys, q.Restart, q.Notes = notNil(q.CutOff), notNil(q.Keys), notNil(q.Restart), notNil(q.Notes)
	q.Rows.Added, q.Rows.Removed = notNil(q.Rows.Added), notNil(q.Rows.Removed)
	return json.Marshal(q)
}

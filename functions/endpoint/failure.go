package endpoint

import (
	"encoding/json"
	"fmt"
	"strings"
)

// How much of an error is kept apart; Raw has all.
const (
	maxTrace = 100      // lines
	maxWords = 16 << 10 // bytes of its type, its message, and each line
)

// newFailure reads the document of a runtime client: errorType, errorMessage,
// and a trace, which is called stackTrace by Go and Python and trace by Node.js.
// The header has the type where the document has none.
func newFailure(header string, document []byte) Failure {
	var d struct {
		Type  string            `json:"errorType"`
		Text  string            `json:"errorMessage"`
		Stack []json.RawMessage `json:"stackTrace"`
		Trace []json.RawMessage `json:"trace"`
	}
	f := Failure{Raw: document}
	if json.Unmarshal(document, &d) != nil {
		f.Message = fmt.Sprintf("%.1024q", document) // a client need not keep to the API
	} else {
		f.Type, f.Message = d.Type, d.Text
	}
	if f.Type == "" {
		f.Type = header
	}
	if f.Type == "" {
		f.Type = "Runtime.Unknown"
	}
	f.Type, f.Message = clip(f.Type), clip(f.Message)
	for _, line := range append(d.Stack, d.Trace...) {
		if len(f.Trace) == maxTrace {
			break
		}
		f.Trace = append(f.Trace, clip(traceLine(line)))
	}
	return f
}

// traceLine is a line of a trace: a string, or a frame of Go's.
func traceLine(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var frame struct {
		Path, Label string
		Line        int
	}
	if json.Unmarshal(raw, &frame) == nil && frame.Path != "" {
		return fmt.Sprintf("%s (%s:%d)", frame.Label, frame.Path, frame.Line)
	}
	return string(raw)
}

// clip shortens what is too long.
func clip(s string) string {
	if len(s) <= maxWords {
		return s
	}
	return strings.ToValidUTF8(s[:maxWords-len("...")], "") + "..."
}

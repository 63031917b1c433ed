package token

// Error says what is wrong with a URI, a token, or a key in it.
type Error struct {
	Problem string `json:"problem"`
	Hint    string `json:"hint,omitempty"` // what to do about it
	// Absent marks what may be well another time, or on another machine: the token is not
	// plugged in, or busy, its module is not installed, or the PIN is not for us to read.
	Absent bool `json:"absent,omitempty"`
	// Refused marks a PIN that the token did not take. It is not tried again.
	Refused bool `json:"refused,omitempty"`
}

// Error has the hint in parentheses.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Problem
	}
	return e.Problem + " (" + e.Hint + ")"
}

func problem(text, hint string) error { return &Error{Problem: text, Hint: hint} }

func absent(text, hint string) error { return &Error{Problem: text, Hint: hint, Absent: true} }

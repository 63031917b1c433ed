package localshadow

import (
	"strconv"
	"unicode/utf8"
)

// request is an update as it was read (AWS: device-shadow-document, "Request
// state document").
type request struct {
	token   string // JSON text; "" when there is none
	state   int32  // an object or null
	version int64  // -1 when there is none
}

// levels are the levels of nesting above those that a document may have: the
// request, its state and the section.
const levels = 3

// read parses an update and checks its form, in the order of rules.go, 14.
func (t *tree) read(payload string, now int64, lim *Limits) (r request, rejection *Rejection) {
	if len(payload) > lim.Payload {
		return r, reject(413, msgTooLarge)
	}
	if !utf8.ValidString(payload) {
		return r, reject(415, msgEncoding)
	}
	root, err := t.parse(payload, lim.Depth+levels, now)
	switch {
	case err == errDepth:
		return r, reject(400, msgDepth, lim.Depth)
	case err != nil:
		return r, reject(400, msgJSON)
	case t.nodes[root].kind != object:
		return r, reject(400, msgNoState)
	}
	var ok bool
	if r.token, ok = t.token(root, payload); !ok {
		return r, reject(400, msgToken)
	}
	if r.version, ok = t.version(root); !ok {
		return r, reject(400, msgVersion).with(r.token)
	}
	if r.state = t.find(root, keyState); r.state == 0 {
		return r, reject(400, msgNoState).with(r.token)
	}
	if msg := t.checkState(r.state, lim); msg != "" {
		return r, reject(400, msg).with(r.token)
	}
	return r, nil
}

// Members of a request.
var (
	keyState   = []byte(`"state"`)
	keyToken   = []byte(`"clientToken"`)
	keyVersion = []byte(`"version"`)
)

// token returns the clientToken, a string of at most 64 bytes. The payload is what the
// tree has read last.
func (t *tree) token(root int32, payload string) (token string, ok bool) {
	n := &t.nodes[t.find(root, keyToken)]
	switch n.kind {
	case gone, null: // node 0 stands for a member that is not there
		return "", true
	case text:
		if from, to := n.text.from-t.base, n.text.to-t.base; int(to) <= len(payload) {
			token = payload[from:to]
		} else { // it was written otherwise
			token = string(t.at(n.text))
		}
		return token, stringLen(token) <= maxToken
	}
	return "", false
}

// version returns the version, a whole number from 0 on.
func (t *tree) version(root int32) (version int64, ok bool) {
	n := &t.nodes[t.find(root, keyVersion)]
	switch n.kind {
	case gone, null:
		return -1, true
	case number:
		v, err := strconv.ParseInt(string(t.at(n.text)), 10, 64)
		return v, err == nil && v >= 0
	}
	return 0, false
}

// checkState returns the message for what is wrong with a state, or "".
func (t *tree) checkState(state int32, lim *Limits) string {
	switch t.nodes[state].kind {
	case null:
		return ""
	case object:
	default:
		return msgState
	}
	for i := t.nodes[state].first; i != 0; i = t.nodes[i].next {
		n := &t.nodes[i]
		fault := ""
		switch string(t.key(i)) {
		case keyDesired:
			fault = msgDesired
		case keyReported:
			fault = msgReported
		default:
			return msgInvalidNode
		}
		if n.kind != object && n.kind != null {
			return fault
		}
	}
	if !lim.lenient && t.holdsNull(state) {
		return msgInvalidNode
	}
	return ""
}

// readToken returns the clientToken of a get or delete, whose payload may be
// anything else. It is "" when there is none.
func (t *tree) readToken(payload string, lim *Limits) (token string, rejection *Rejection) {
	if payload == "" || len(payload) > lim.Payload || !utf8.ValidString(payload) {
		return "", nil
	}
	root, err := t.parse(payload, lim.Depth+levels, 0)
	if err != nil || t.nodes[root].kind != object {
		return "", nil
	}
	token, ok := t.token(root, payload)
	if !ok {
		return "", reject(400, msgToken)
	}
	return token, nil
}

// tokenOf returns the clientToken of any payload, or "".
func tokenOf(payload string, lim *Limits) string {
	w := works.Get().(*work)
	defer works.Put(w)
	w.reset()
	token, _ := w.readToken(payload, lim) // one that is not legal is not sent back
	return token
}

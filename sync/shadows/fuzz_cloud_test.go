package shadows_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// serve answers a request, as how wants it: each reply has a topic and a payload. 0 is
// what AWS would do. The caller holds mu.
func (s *evilSite) serve(topic string, payload []byte, how byte) (replies [][2]string) {
	name := ""
	if rest, ok := strings.CutPrefix(topic, "$aws/things/T/shadow/name/"); ok {
		name, _, _ = strings.Cut(rest, "/")
	}
	doc := s.docs[name]
	if doc == nil { // of a name that the evil cloud has made up
		doc = &evilDoc{}
	}
	var request struct {
		State   json.RawMessage
		Version *int64
		Token   string `json:"clientToken"`
	}
	if err := json.Unmarshal(payload, &request); err != nil {
		s.Errorf("%s was asked with %s: %v", topic, payload, err)
	}
	say := func(what, text string) {
		replies = append(replies, [2]string{topic + "/" + what, text})
	}
	reject := func(code int) {
		say("rejected", fmt.Sprintf(`{"code":%d,"message":"m","clientToken":%q}`, code, request.Token))
	}
	accept := func(version int64, state string) {
		if how == 0x05 {
			request.Token = "another"
		}
		say("accepted", fmt.Sprintf(`{"state":%s,"version":%d,"timestamp":1,"clientToken":%q}`, state, version, request.Token))
	}
	state := string(request.State)
	switch op := path.Base(topic); {
	case how >= 0x10 && how < 0x20:
		reject([]int{400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503, 0, -1, 1 << 40, 200, 99}[how-0x10])
		return replies
	case how == 0x06: // not a word
		return nil
	case how == 0x07:
		say([]string{"accepted", "rejected"}[len(s.text)%2], strings.Replace(s.text, "{", fmt.Sprintf(`{"clientToken":%q,`, request.Token), 1))
		return replies
	case op == "get" && doc.state == nil, op == "delete" && doc.state == nil:
		reject(404)
	case op == "get":
		state = jsonOf(doc.state)
		accept(doc.version, state)
	case op == "delete":
		doc.state = nil
		say("accepted", fmt.Sprintf(`{"version":%d,"timestamp":1,"clientToken":%q}`, doc.version, request.Token))
	case request.Version != nil && *request.Version != doc.version:
		reject(409)
	default:
		doc.update(request.State)
		accept(doc.version, state)
	}
	last := replies[len(replies)-1]
	switch how { // the same, in other words
	case 0x01:
		replies[len(replies)-1][1] = versioned(last[1], doc.version-5)
	case 0x02:
		replies[len(replies)-1][1] = versioned(last[1], 1<<63-1)
	case 0x03:
		replies[len(replies)-1][1] = versioned(last[1], -1)
	case 0x04, 0x08:
		replies = append(replies, last)
	case 0x09:
		replies[len(replies)-1][1] = last[1][:len(last[1])/2]
	case 0x0A:
		replies[len(replies)-1][1] = strings.Replace(last[1], `"state":`+state, `"state":null`, 1)
	case 0x0B:
		replies[len(replies)-1][1] = strings.Replace(last[1], `"state":`+state, `"state":{"desired":{"evil":{}}}`, 1)
	}
	return replies
}

// versioned puts another version into an answer.
func versioned(text string, version int64) string {
	head, tail, ok := strings.Cut(text, `"version":`)
	if !ok {
		return text
	}
	_, tail, _ = strings.Cut(tail, `,`)
	return fmt.Sprintf(`%s"version":%d,%s`, head, version, tail)
}

func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// update applies the state of an update (AWS, "Device Shadow service documents").
func (d *evilDoc) update(text []byte) {
	r := json.NewDecoder(bytes.NewReader(text))
	r.UseNumber()
	var change any
	if err := r.Decode(&change); err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	d.version++
	if change == nil {
		d.state = object{}
		return
	}
	if d.state == nil {
		d.state = object{}
	}
	for _, section := range []string{"desired", "reported"} {
		value, there := change.(object)[section]
		if there {
			blend(d.state, object{section: value})
		}
		if o, ok := d.state[section].(object); ok && len(o) == 0 {
			delete(d.state, section)
		}
	}
}

// blend puts the members of change into an object; null takes one out.
func blend(into, change object) {
	for key, value := range change {
		o, isObject := value.(object)
		if value == nil {
			delete(into, key)
		} else if !isObject {
			into[key] = value
		} else {
			old, ok := into[key].(object)
			if !ok {
				old = object{}
				into[key] = old
			}
			blend(old, o)
		}
	}
}

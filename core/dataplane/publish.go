package dataplane

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"greengate/core/message"
)

// maxExpiry is the longest life of a message in seconds; longer ones, and
// those under a second, are brought to the nearest bound (AWS, "MQTT 5 message
// expiry": 1 to 604,800).
const maxExpiry = 604_800

// publish is Publish (AWS, "AWS IoT Data Plane").
func (c *call) publish(ctx context.Context) error {
	m, err := c.message()
	if err != nil {
		return err
	}
	allowed, err := c.h.o.Publish(ctx, c.from, m)
	switch {
	case err != nil:
		return err
	case !allowed:
		return Forbidden()
	}
	c.write(http.StatusOK, told{"OK", c.id})
	return nil
}

// message makes the message of the request.
func (c *call) message() (*message.Message, error) {
	if err := message.CheckTopic(c.arg); err != nil {
		return nil, invalid("%v", err)
	}
	p := c.params()
	qos, _ := p.number("qos", 0, 1)
	m := &message.Message{Topic: c.arg, QoS: byte(qos), Retain: p.flag("retain")}
	if seconds, given := p.number("messageExpiry", 0, 1<<62); given {
		m.Expires = time.Now().Add(time.Duration(min(max(seconds, 1), maxExpiry)) * time.Second)
	}
	properties := &message.Properties{ContentType: p.text("contentType"), ResponseTopic: p.text("responseTopic")}
	if properties.ResponseTopic != "" && message.CheckTopic(properties.ResponseTopic) != nil {
		p.fail("responseTopic is no topic") // [MQTT-3.3.2-14]
	}
	if p.err != nil {
		return nil, p.err
	}
	if err := readHeaders(c.r.Header, properties); err != nil {
		return nil, err
	}
	body, err := c.body(c.h.o.Limits.Publish)
	if err != nil {
		return nil, err
	}
	if properties.PayloadIsUTF8 && !utf8.Valid(body) {
		return nil, invalid("the payload is not UTF-8, as its format indicator says")
	}
	m.Payload = body
	if !isEmpty(properties) {
		m.Properties = properties
	}
	return m, nil
}

func isEmpty(p *message.Properties) bool {
	return !p.PayloadIsUTF8 && p.ContentType == "" && p.ResponseTopic == "" && len(p.CorrelationData) == 0 && len(p.User) == 0
}

// readHeaders takes the MQTT 5 properties that travel in headers.
func readHeaders(h http.Header, p *message.Properties) error {
	switch h.Get("X-Amz-Mqtt5-Payload-Format-Indicator") {
	case "", "UNSPECIFIED_BYTES":
	case "UTF8_DATA":
		p.PayloadIsUTF8 = true
	default:
		return invalid("x-amz-mqtt5-payload-format-indicator must be UNSPECIFIED_BYTES or UTF8_DATA")
	}
	if text := h.Get("X-Amz-Mqtt5-Correlation-Data"); text != "" { // else nil: a packet would carry what is empty
		var err error
		if p.CorrelationData, err = base64.StdEncoding.DecodeString(text); err != nil {
			return invalid("x-amz-mqtt5-correlation-data is not base64")
		}
	}
	if len(p.CorrelationData) > maxText { // of which a packet could not tell the length [MQTT 1.5.6]
		return invalid("x-amz-mqtt5-correlation-data is longer than %d bytes", maxText)
	}
	if text := h.Get("X-Amz-Mqtt5-User-Properties"); text != "" {
		plain, err := base64.StdEncoding.DecodeString(text)
		if err == nil {
			p.User, err = parseUser(plain)
		}
		if err != nil {
			return invalid("x-amz-mqtt5-user-properties is not the base64 of a JSON array of objects with strings")
		}
		if p.UserBytes() > message.MaxUserProperties {
			return invalid("x-amz-mqtt5-user-properties are more than %d bytes", message.MaxUserProperties)
		}
	}
	return nil
}

// parseUser reads user properties: an array of objects with strings, such as
// [{"deviceName": "alpha"}, {"deviceCnt": "45"}]. Their order is kept. It may stand in a
// JSON string: boto3 makes one of the text that AWS's reference asks for.
func parseUser(text []byte) (list []message.UserProperty, err error) {
	var inner string
	if json.Unmarshal(text, &inner) == nil {
		text = []byte(inner)
	}
	var objects []json.RawMessage
	if err := json.Unmarshal(text, &objects); err != nil {
		return nil, err
	}
	for _, object := range objects {
		d := json.NewDecoder(bytes.NewReader(object))
		if open, err := d.Token(); err != nil || open != json.Delim('{') {
			return nil, errNotUser
		}
		for d.More() {
			name, err := d.Token() // a string: Unmarshal has seen that all is JSON
			if err != nil {
				return nil, err
			}
			value, err := d.Token()
			if err != nil {
				return nil, err
			}
			u := message.UserProperty{Name: name.(string)}
			var isText bool
			if u.Value, isText = value.(string); !isText || !packable(u.Name) || !packable(u.Value) {
				return nil, errNotUser
			}
			list = append(list, u)
		}
	}
	return list, nil
}

var errNotUser = errors.New("not an array of objects with strings")

// userText is the reverse of parseUser, an object for each property.
func userText(list []message.UserProperty) []byte {
	objects := make([]map[string]string, len(list))
	for i, u := range list {
		objects[i] = map[string]string{u.Name: u.Value}
	}
	text, err := json.Marshal(objects)
	if err != nil {
		panic(err) // strings always have a JSON form
	}
	return text
}

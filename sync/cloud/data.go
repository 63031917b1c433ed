package cloud

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"greengate/core/message"
)

// alpnData is what AWS wants to hear on port 443 from a client of the data plane
// that has a certificate (developer guide, "Device communication protocols").
const alpnData = "x-amzn-http-ca"

// Bounds of what Names reads: with them a cloud that makes up names makes us keep no more
// than some hundred KiB for a thing.
const (
	pageSize      = 100      // names; the largest that AWS has
	maxPages      = 25       // of a thing
	maxDataAnswer = 32 << 10 // bytes of a page; 100 names need 8 KiB
)

// dataIdle is how long a connection to the data plane stays for the next
// question: the handshake costs more than the question.
const dataIdle = 10 * time.Second

// DataError is an answer of the data plane that says no.
type DataError struct {
	Status  int    // of HTTP
	Type    string // the service's name for it, such as ForbiddenException; may be empty
	Message string // the service's own words; may be empty
}

func (e *DataError) Error() string {
	text := fmt.Sprintf("the cloud answered %d", e.Status)
	if e.Type != "" {
		text += fmt.Sprintf(" %.100s", e.Type)
	}
	if e.Message != "" {
		text += fmt.Sprintf(": %.200q", e.Message)
	}
	if e.Status == http.StatusForbidden {
		text += " (does the policy of the core's certificate allow iot:ListNamedShadowsForThing for it?)"
	}
	return text
}

// Names returns the names of a thing's named shadows in the cloud, which MQTT
// cannot tell. It asks the HTTPS data plane with the core's certificate, by the
// same way out, with the same trust: on port 8443 when MQTT has 8883, otherwise
// on MQTT's own port by ALPN, as AWS has it on 443. Each call has the time of
// Timing for each page, and keeps AWS's limit on the requests of a thing together
// with what Send sends. More than 2,500 names are an error. A *DataError is the cloud's own answer. The connection
// that MQTT has plays no part.
func (l *Link) Names(ctx context.Context, thing string) ([]string, error) {
	if err := message.CheckThing(thing); err != nil {
		return nil, fmt.Errorf("list the shadows of a thing: %w", err)
	}
	var names []string
	token := ""
	for range maxPages {
		page, err := l.namesPage(ctx, thing, token)
		if err != nil {
			return nil, fmt.Errorf("list the shadows of %s in the cloud: %w", thing, err)
		}
		if len(page.Results) > pageSize {
			return nil, fmt.Errorf("list the shadows of %s in the cloud: %d names came where %d were asked for", thing, len(page.Results), pageSize)
		}
		names = append(names, page.Results...)
		if token = page.NextToken; token == "" {
			return names, nil
		}
	}
	return nil, fmt.Errorf("list the shadows of %s in the cloud: the list does not end after %d pages", thing, maxPages)
}

// namesAnswer is ListNamedShadowsForThing's (API reference of the data plane).
type namesAnswer struct {
	Results   []string `json:"results"`
	NextToken string   `json:"nextToken"`
	Message   string   `json:"message"` // of an error
}

func (l *Link) namesPage(ctx context.Context, thing, token string) (page namesAnswer, err error) {
	if err := l.shadows.admitThing(ctx, nil, thing); err != nil {
		return page, err
	}
	defer l.shadows.answered(thing)
	query := url.Values{"pageSize": {fmt.Sprint(pageSize)}}
	if token != "" {
		query.Set("nextToken", token)
	}
	t := l.o.Timing
	ctx, cancel := context.WithTimeout(ctx, t.Dial+t.Handshake+t.Answer)
	defer cancel()
	address := url.URL{Scheme: "https", Host: net.JoinHostPort(l.o.Endpoint, fmt.Sprint(l.dataPort())),
		Path: "/api/things/shadow/ListNamedShadowsForThing/" + thing, RawQuery: query.Encode()}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return page, err
	}
	// Not a Client: a redirect would lead the certificate elsewhere.
	answer, err := l.data.RoundTrip(r)
	if err != nil {
		return page, explainAlert(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxDataAnswer))
	if err != nil {
		return page, fmt.Errorf("read the answer: %w", err)
	}
	err = json.Unmarshal(body, &page)
	switch {
	case answer.StatusCode != http.StatusOK: // what no service wrote need not be JSON
		if answer.StatusCode == http.StatusTooManyRequests {
			l.counts.quota.Add(1)
		}
		return page, &DataError{answer.StatusCode, answer.Header.Get("x-amzn-errortype"), page.Message}
	case err != nil:
		return page, fmt.Errorf("read the answer: %w", err)
	}
	return page, nil
}

// dataPort is where the data plane is.
func (l *Link) dataPort() int {
	if l.o.Port == 8883 {
		return 8443
	}
	return l.o.Port
}

// newData makes the client of the data plane. It holds one connection, and none
// when nobody asks.
func (l *Link) newData() *http.Transport {
	return &http.Transport{
		DialTLSContext:         l.dialData,
		MaxConnsPerHost:        1,
		IdleConnTimeout:        dataIdle,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func (l *Link) dialData(ctx context.Context, _, _ string) (net.Conn, error) {
	config, err := l.tlsConfig(ctx)
	if err != nil {
		return nil, err
	}
	config.NextProtos = nil
	if l.o.Port != 8883 {
		config.NextProtos = []string{alpnData}
	}
	conn, _, err := l.dial(ctx, l.dataPort(), config)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

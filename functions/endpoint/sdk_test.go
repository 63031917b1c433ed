package endpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotdataplane"
	"github.com/aws/smithy-go"

	"greengate/functions/endpoint"
)

// data is a data plane of a test, which keeps what it was asked.
type data struct {
	mu    sync.Mutex
	asked []string
}

func (d *data) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	d.mu.Lock()
	d.asked = append(d.asked, fmt.Sprintf("%s %s?%s %s %v", r.Method, r.URL.EscapedPath(), r.URL.RawQuery, body, err))
	d.mu.Unlock()
	w.Header().Set("X-Amzn-Requestid", "00000000-0000-4000-8000-000000000000")
	io.WriteString(w, `{"state":{}}`)
}

// wantAsked are the requests that the programs of this test make.
var wantAsked = []string{
	`POST /topics/a%2Fb%20c%2F%C3%A4%2B~%28%29%27%2A%21?qos=1 {"x": "\u00e4"} <nil>`,
	`POST /topics/plain?qos=0 <nil>`,
	`GET /things/T/shadow?name=n%20%2B <nil>`,
	`POST /things/T:1/shadow? {"state":{}} <nil>`,
	`GET /api/things/shadow/ListNamedShadowsForThing/T?nextToken=a%2Fb%3D%3D&pageSize=3 <nil>`,
	`DELETE /things/T/shadow? <nil>`,
}

// dataHouse is an endpoint with a data plane.
func dataHouse(t *testing.T) (*house, *data) {
	d := &data{}
	return open(t, func(o *endpoint.Options) { o.Home.Data = d.serve }), d
}

// check compares what came, without the ways in which clients may differ.
func (d *data) check(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	plain := func(s string) string {
		return strings.NewReplacer("  ", " ", "%28", "(", "%29", ")", "%27", "'", "%2A", "*", "%21", "!", "T%3A1", "T:1", "qos=0 ", " ", "&x-id=", "").Replace(s)
	}
	for i, want := range wantAsked {
		got := "nothing"
		if i < len(d.asked) {
			got = d.asked[i]
		}
		got = strings.Replace(got, "?pageSize=3&nextToken=a%2Fb%3D%3D ", "?nextToken=a%2Fb%3D%3D&pageSize=3 ", 1)
		if plain(got) != plain(want) {
			t.Errorf("request %d: got %s, want %s", i, got, want)
		}
	}
}

func (h *house) goClient(t *testing.T, change func(*aws.Credentials)) *iotdataplane.Client {
	c := aws.Credentials{AccessKeyID: h.variable(t, "AWS_ACCESS_KEY_ID"), SecretAccessKey: h.variable(t, "AWS_SECRET_ACCESS_KEY"),
		SessionToken: h.variable(t, "AWS_SESSION_TOKEN")}
	if change != nil {
		change(&c)
	}
	return iotdataplane.New(iotdataplane.Options{
		BaseEndpoint: aws.String(h.variable(t, "AWS_ENDPOINT_URL_IOT_DATA_PLANE")),
		Region:       h.variable(t, "AWS_REGION"),
		Credentials:  aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil }),
		Retryer:      aws.NopRetryer{},
	})
}

func TestGoSDK(t *testing.T) {
	h, d := dataHouse(t)
	ctx, client := t.Context(), h.goClient(t, nil)
	var errs []error
	did := func(_ any, err error) { errs = append(errs, err) }
	did(client.Publish(ctx, &iotdataplane.PublishInput{Topic: aws.String("a/b c/ä+~()'*!"), Qos: 1, Payload: []byte(`{"x": "\u00e4"}`)}))
	did(client.Publish(ctx, &iotdataplane.PublishInput{Topic: aws.String("plain")}))
	did(client.GetThingShadow(ctx, &iotdataplane.GetThingShadowInput{ThingName: aws.String("T"), ShadowName: aws.String("n +")}))
	did(client.UpdateThingShadow(ctx, &iotdataplane.UpdateThingShadowInput{ThingName: aws.String("T:1"), Payload: []byte(`{"state":{}}`)}))
	did(client.ListNamedShadowsForThing(ctx, &iotdataplane.ListNamedShadowsForThingInput{ThingName: aws.String("T"), PageSize: aws.Int32(3), NextToken: aws.String("a/b==")}))
	did(client.DeleteThingShadow(ctx, &iotdataplane.DeleteThingShadowInput{ThingName: aws.String("T")}))
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	d.check(t)
	h.noted(t)
}

const boto3Program = `
import boto3, json, os
c = boto3.client("iot-data", endpoint_url=os.environ["AWS_ENDPOINT_URL_IOT_DATA_PLANE"])
c.publish(topic="a/b c/ä+~()'*!", qos=1, payload=json.dumps({"x": "ä"}))
c.publish(topic="plain")
c.get_thing_shadow(thingName="T", shadowName="n +")["payload"].read()
c.update_thing_shadow(thingName="T:1", payload=b'{"state":{}}')
c.list_named_shadows_for_thing(thingName="T", pageSize=3, nextToken="a/b==")
c.delete_thing_shadow(thingName="T")
`

const javaScriptProgram = `
const { IoTDataPlaneClient: Client, ...sdk } = require('@aws-sdk/client-iot-data-plane');
const c = new Client({});
const send = (name, input) => c.send(new sdk[name + 'Command'](input));
(async () => {
  await send('Publish', { topic: "a/b c/ä+~()'*!", qos: 1, payload: '{"x": "\\u00e4"}' });
  await send('Publish', { topic: 'plain' });
  await send('GetThingShadow', { thingName: 'T', shadowName: 'n +' });
  await send('UpdateThingShadow', { thingName: 'T:1', payload: '{"state":{}}' });
  await send('ListNamedShadowsForThing', { thingName: 'T', pageSize: 3, nextToken: 'a/b==' });
  await send('DeleteThingShadow', { thingName: 'T' });
})().catch((error) => { console.error(error); process.exit(1); });
`

// clients is where the npm clients of all tests are installed.
const clients = "../../cmd/greengate/testdata/clients"

// program runs a program in the environment of the instance and returns what it
// writes.
func (h *house) program(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, h.env(env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v (`make clients` installs the real clients)\n%s", name, err, out)
	}
	return string(out)
}

func TestBoto3(t *testing.T) {
	h, d := dataHouse(t)
	h.program(t, t.TempDir(), nil, "/usr/bin/python3", "-c", boto3Program)
	d.check(t)
	h.noted(t)
}

func TestJavaScriptSDK(t *testing.T) {
	h, d := dataHouse(t)
	h.program(t, clients, nil, "node", "-e", javaScriptProgram)
	d.check(t)
	h.noted(t)
}

// Who has not the instance's keys gets AWS's answer, and the data plane sees
// nothing of it.
func TestWrongKeys(t *testing.T) {
	for _, c := range []struct {
		name, code string
		change     func(*aws.Credentials)
	}{
		{"secret", "InvalidSignatureException", func(c *aws.Credentials) { c.SecretAccessKey = "x" }},
		{"key", "UnrecognizedClientException", func(c *aws.Credentials) { c.AccessKeyID = "ASIAOTHER" }},
		{"session", "UnrecognizedClientException", func(c *aws.Credentials) { c.SessionToken = "x" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, d := dataHouse(t)
			_, err := h.goClient(t, c.change).Publish(t.Context(), &iotdataplane.PublishInput{Topic: aws.String("a")})
			var refused smithy.APIError
			if !errors.As(err, &refused) || refused.ErrorCode() != c.code || refused.ErrorMessage() == "" {
				t.Errorf("got %v", err)
			}
			if len(d.asked) > 0 {
				t.Errorf("the data plane was asked: %q", d.asked)
			}
			h.noted(t, "function-signature")
		})
	}
}

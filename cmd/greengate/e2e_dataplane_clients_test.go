package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/iotdataplane"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// The three clients of the data plane: boto3 and the AWS SDK for JavaScript as
// programs beside the test (testdata/clients), and the AWS SDK for Go.

// params are those of a call, by AWS's names.
type params map[string]any

// dataAnswer is what came of a call.
type dataAnswer struct {
	Result map[string]any
	Error  *dataError
	ID     string
}

type dataError struct {
	Name, Message string
	Status        int
}

// dataClient is a client that shows the certificate of one thing.
type dataClient interface {
	call(op string, p params) dataAnswer
}

// dataClients makes the clients, by name.
var dataClients = map[string]func(*site, string) dataClient{
	// Debian's package is for Debian's Python, whatever else is on the path.
	"boto3":                     func(s *site, thing string) dataClient { return s.dataProgram("/usr/bin/python3", "iot-data.py", thing) },
	"AWS SDK for JavaScript v3": func(s *site, thing string) dataClient { return s.dataProgram("node", "iot-data.js", thing) },
	"aws-sdk-go-v2":             (*site).dataSDK,
}

// text returns a field that must be there.
func (a dataAnswer) text(t *testing.T, field string) string {
	t.Helper()
	text, ok := a.Result[field].(string)
	if !ok {
		t.Fatalf("the answer has no %s: %+v %+v", field, a.Result, a.Error)
	}
	return text
}

// good fails the test unless the call was carried out.
func (a dataAnswer) good(t *testing.T) dataAnswer {
	t.Helper()
	if a.Error != nil {
		t.Fatalf("refused: %+v", *a.Error)
	}
	if len(a.ID) != 36 {
		t.Errorf("the request has the id %q", a.ID)
	}
	return a
}

// refused fails the test unless the call was answered with that error.
func (a dataAnswer) refused(t *testing.T, status int, name string) {
	t.Helper()
	switch {
	case a.Error == nil:
		t.Errorf("want %d %s, got %+v", status, name, a.Result)
	case a.Error.Status != status || a.Error.Name != name || a.Error.Message == "" || len(a.ID) != 36:
		t.Errorf("want %d %s, got %+v with the id %q", status, name, *a.Error, a.ID)
	}
}

// dataProgram is a client that is a program.
type dataProgram struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

func (s *site) dataProgram(program, script, thing string) dataClient {
	s.t.Helper()
	cmd := exec.Command(program, filepath.Join("testdata", "clients", script), "https://"+s.discovery, thing, s.folder(thing))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	complaints := new(buffer)
	cmd.Stderr = complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("%v (`make test` installs the real clients)", err)
	}
	late := time.AfterFunc(3*patience, func() { _ = cmd.Process.Kill() })
	s.t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("%s: %v\n%s", script, err, complaints)
		}
		late.Stop()
	})
	return &dataProgram{t: s.t, in: in, out: bufio.NewReader(out)}
}

func (c *dataProgram) call(op string, p params) (a dataAnswer) {
	c.t.Helper()
	request, err := json.Marshal(map[string]any{"op": op, "params": p})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.in, "%s\n", request); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		c.t.Fatalf("no answer to %s: %v", request, err)
	}
	return a
}

// dataSDK is the AWS SDK for Go.
type dataSDK struct {
	t      *testing.T
	client *iotdataplane.Client
}

func (s *site) dataSDK(thing string) dataClient {
	s.t.Helper()
	config := s.tls(s.identity(thing))
	return &dataSDK{t: s.t, client: iotdataplane.New(iotdataplane.Options{
		BaseEndpoint: aws.String("https://" + s.discovery),
		Region:       "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "any", SecretAccessKey: "any"}, nil
		}),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig = config }),
	})}
}

// call makes the call that has the shape of the parameters: the names of the
// SDK are AWS's with a capital.
func (c *dataSDK) call(op string, p params) dataAnswer {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out any
	var err error
	switch op {
	case "Publish":
		out, err = c.client.Publish(ctx, filled(c.t, p, &iotdataplane.PublishInput{}))
	case "GetThingShadow":
		out, err = c.client.GetThingShadow(ctx, filled(c.t, p, &iotdataplane.GetThingShadowInput{}))
	case "UpdateThingShadow":
		out, err = c.client.UpdateThingShadow(ctx, filled(c.t, p, &iotdataplane.UpdateThingShadowInput{}))
	case "DeleteThingShadow":
		out, err = c.client.DeleteThingShadow(ctx, filled(c.t, p, &iotdataplane.DeleteThingShadowInput{}))
	case "ListNamedShadowsForThing":
		out, err = c.client.ListNamedShadowsForThing(ctx, filled(c.t, p, &iotdataplane.ListNamedShadowsForThingInput{}))
	case "ListRetainedMessages":
		out, err = c.client.ListRetainedMessages(ctx, filled(c.t, p, &iotdataplane.ListRetainedMessagesInput{}))
	case "GetRetainedMessage":
		out, err = c.client.GetRetainedMessage(ctx, filled(c.t, p, &iotdataplane.GetRetainedMessageInput{}))
	}
	return c.answer(out, err)
}

func (c *dataSDK) answer(out any, err error) dataAnswer {
	c.t.Helper()
	var refused smithy.APIError
	var response *awshttp.ResponseError
	switch {
	case errors.As(err, &refused) && errors.As(err, &response):
		e := &dataError{Name: refused.ErrorCode(), Message: refused.ErrorMessage(), Status: response.HTTPStatusCode()}
		return dataAnswer{Error: e, ID: response.ServiceRequestID()}
	case err != nil:
		c.t.Fatal(err)
	}
	text, err := json.Marshal(out)
	if err != nil {
		c.t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		c.t.Fatal(err)
	}
	a := dataAnswer{Result: map[string]any{}}
	for name, value := range fields {
		if value == nil {
			continue // the SDK's own way to say that there is none
		}
		a.Result[strings.ToLower(name[:1])+name[1:]] = plainField(name, value)
	}
	a.ID = requestID(out)
	return a
}

// plainField has blobs as text and lists of structures by AWS's names, as the
// programs have them.
func plainField(name string, value any) any {
	switch v := value.(type) {
	case string:
		if name == "Payload" || name == "UserProperties" {
			var blob []byte
			if json.Unmarshal(fmt.Appendf(nil, "%q", v), &blob) == nil {
				return string(blob)
			}
		}
	case []any:
		for i, e := range v {
			if fields, ok := e.(map[string]any); ok {
				lower := map[string]any{}
				for k, f := range fields {
					lower[strings.ToLower(k[:1])+k[1:]] = f
				}
				v[i] = lower
			}
		}
	}
	return value
}

// filled gives the input its parameters.
func filled[T any](t *testing.T, p params, input *T) *T {
	t.Helper()
	fields := map[string]any{}
	for name, value := range p {
		switch name {
		case "payload":
			value = []byte(value.(string))
		case "userProperties":
			text, _ := json.Marshal(value)
			value = string(text)
		}
		fields[strings.ToUpper(name[:1])+name[1:]] = value
	}
	text, err := json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(text, input)
	}
	if err != nil {
		t.Fatal(err)
	}
	return input
}

// requestID is that of an answer of the SDK for Go.
func requestID(out any) string {
	var metadata middleware.Metadata
	switch o := out.(type) {
	case *iotdataplane.PublishOutput:
		metadata = o.ResultMetadata
	case *iotdataplane.GetThingShadowOutput:
		metadata = o.ResultMetadata
	case *iotdataplane.UpdateThingShadowOutput:
		metadata = o.ResultMetadata
	case *iotdataplane.DeleteThingShadowOutput:
		metadata = o.ResultMetadata
	case *iotdataplane.ListNamedShadowsForThingOutput:
		metadata = o.ResultMetadata
	case *iotdataplane.ListRetainedMessagesOutput:
		metadata = o.ResultMetadata
	case *iotdataplane.GetRetainedMessageOutput:
		metadata = o.ResultMetadata
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(metadata)
	return id
}

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/core/message"
)

// invokedTopic is the topic of calls by hand that name none, as $schedule is that of the
// clock: code that reads its topic finds one.
const invokedTopic = "$invoke"

func newFunctionInvoke(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invoke NAME [--event FILE] [--topic T]",
		Short: "call a function and print its answer",
		Long: `Calls a function through its queue, as a message would, and prints its answer to
stdout; what it wrote meanwhile goes to stderr. No row is needed, the answer is not
published, and a call that fails is not made again.

Exit codes: 0 it answered, 1 there is no such function or the event is none, 2 it failed.`,
		Args: oneFunction,
	}
	event := cmd.Flags().String("event", "", "the `file` with the event, - for stdin; without it the event is {}")
	topic := cmd.Flags().String("topic", invokedTopic, "the `topic` that the function finds in its context")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		if err := message.CheckTopic(*topic); err != nil {
			return badInput("--topic: %w", err)
		}
		payload := []byte("{}")
		if *event != "" {
			var err error
			if payload, err = a.readInput(*event); err != nil {
				return err
			}
		}
		return a.invoke(cmd, args[0], client.Call{Topic: *topic, Payload: payload}, *asJSON)
	})
	return cmd
}

// readInput reads a file, or stdin for -.
func (a *app) readInput(file string) ([]byte, error) {
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, inputError{err}
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxCall+1))
	if err == nil && len(data) > maxCall {
		err = badInput("%s has more than %s", file, size(maxCall))
	}
	return data, err
}

// invoke makes one call and prints what came of it.
func (a *app) invoke(cmd *cobra.Command, function string, call client.Call, asJSON bool) error {
	daemon, err := a.daemon()
	if err != nil {
		return err
	}
	c, err := daemon.Invoke(cmd.Context(), function, call)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.printJSON(c)
	} else {
		err = a.writeCalled(&c)
	}
	if err == nil && c.Failure != nil {
		err = fmt.Errorf("%s failed: %s: %s", function, c.Failure.Type, c.Failure.Message)
	}
	return err
}

func (a *app) writeCalled(c *client.Called) error {
	for _, l := range c.Logs {
		fmt.Fprintf(a.stderr, "%s: %s\n", l.Stream, logText(l.Text))
	}
	fmt.Fprintf(a.stderr, "took %s\n", shortSpan(c.DurationMS))
	if c.Failure != nil {
		for _, l := range c.Failure.Trace {
			fmt.Fprintf(a.stderr, "  %s\n", printableLines(strings.TrimRight(l, "\n"), "  "))
		}
		return nil
	}
	answer := []byte(c.Base64)
	if c.Payload != nil {
		answer = append(c.Payload, '\n')
	}
	_, err := a.stdout.Write(answer)
	return err
}

func newFunctionTest(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test NAME --message FILE",
		Short: "call a function with recorded messages",
		Long: `Calls a function once for each message of FILE (- is stdin), in their order, as invoke
does. A message is a JSON document with "topic" and "payload", as ` + "`greengate watch --json\n--payload`" + ` records them, a line each, or as a person writes it: the payload a text, or
any other JSON for the document itself; "payload_base64" holds other bytes. What was
recorded and did not reach the function is passed over. It ends at the first call that
fails.`,
		Args: oneFunction,
	}
	file := cmd.Flags().String("message", "", "the `file` with the messages, - for stdin")
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		if *file == "" {
			return badInput("--message is missing (name a file with a message, or - for stdin)")
		}
		data, err := a.readInput(*file)
		if err != nil {
			return err
		}
		calls, err := recordedCalls(data)
		if err != nil {
			return inputError{fmt.Errorf("read %s: %w", *file, err)}
		}
		for _, call := range calls {
			if err := a.invoke(cmd, args[0], call, *asJSON); err != nil {
				return err
			}
		}
		return nil
	})
	return cmd
}

// recordedCalls reads messages, a JSON document each.
func recordedCalls(data []byte) (calls []client.Call, err error) {
	documents := json.NewDecoder(bytes.NewReader(data))
	for {
		var m struct {
			Verdict string          `json:"verdict"` // of watch
			Topic   string          `json:"topic"`
			Payload json.RawMessage `json:"payload"`
			Base64  []byte          `json:"payload_base64"`
		}
		err := documents.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", len(calls)+1, err)
		}
		if m.Verdict != "" && m.Verdict != "queued" && m.Verdict != "delivered" {
			continue // the function was not called with it
		}
		call := client.Call{Topic: cmp.Or(m.Topic, invokedTopic), Payload: m.Base64}
		if err := message.CheckTopic(call.Topic); err != nil {
			return nil, fmt.Errorf("message %d: topic: %w", len(calls)+1, err)
		}
		var text string
		switch {
		case m.Payload == nil && m.Base64 == nil:
			return nil, fmt.Errorf("message %d has no payload (`greengate watch --json --payload` records it)", len(calls)+1)
		case m.Payload == nil:
		case json.Unmarshal(m.Payload, &text) == nil:
			call.Payload = []byte(text)
		default:
			call.Payload = m.Payload
		}
		calls = append(calls, call)
	}
	if len(calls) == 0 {
		return nil, errors.New("there is no message in it")
	}
	return calls, nil
}

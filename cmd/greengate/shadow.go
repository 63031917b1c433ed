package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/core/message"
	"greengate/localshadow"
	"greengate/subscriptions"
)

func newShadow(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shadow",
		Short: "get, update, delete and list the local shadows, and tell their history",
		Long: `Works on the shadows that the running daemon keeps, as its devices do over MQTT:
what changes is published to whom the table allows it. A document goes to stdout
as JSON, also without --json, which prints the one of the service in full.`,
		Args: cobra.NoArgs,
		RunE: help,
	}
	cmd.AddCommand(newShadowGet(a), newShadowUpdate(a), newShadowDelete(a), newShadowList(a),
		newShadowHistory(a), newShadowDiff(a), newShadowRevert(a))
	return cmd
}

func newShadowGet(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get THING [--name N]",
		Short: "print a shadow: desired, reported and what differs",
		Args:  oneThing,
	}
	s := shadowFlags(cmd)
	cmd.RunE = s.action(a, func(daemon *client.Client, cmd *cobra.Command, args []string) error {
		document, err := daemon.Shadow(cmd.Context(), args[0], s.name)
		return s.print(a, document, err, func(d *shadowDocument) string {
			return fmt.Sprintf("%s: version %d, %s", s.subject(args[0]), d.Version, d.condition())
		})
	})
	return cmd
}

func newShadowUpdate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "update THING [DOCUMENT|-] [--name N]",
		Short: "send an update to a shadow and print what was accepted",
		Long: `Sends an update request to a shadow and prints the accepted document. The request
is the next argument, or comes from stdin:

  greengate shadow update lamp '{"state": {"desired": {"property": "R"}}}'

It is exactly that of AWS: "version" in it makes the update fail when somebody
else has changed the shadow, null deletes a key. A rejection is exit code 1.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return errors.New("name one thing, and one document or none (in quotes: '{\"state\": ...}')")
			}
			return nil
		},
	}
	s := shadowFlags(cmd)
	cmd.RunE = s.action(a, func(daemon *client.Client, cmd *cobra.Command, args []string) error {
		var request []byte
		if len(args) == 2 && args[1] != "-" {
			request = []byte(args[1])
		} else {
			var err error
			if request, err = readRequest(a.stdin); err != nil {
				return fmt.Errorf("read the document from stdin: %w", err)
			}
		}
		accepted, err := daemon.UpdateShadow(cmd.Context(), args[0], s.name, request)
		if err == nil {
			s.noteStranger(cmd.Context(), a, daemon, args[0], accepted)
		}
		return s.print(a, accepted, err, func(d *shadowDocument) string {
			return fmt.Sprintf("%s: accepted, version %d", s.subject(args[0]), d.Version)
		})
	})
	return cmd
}

// noteStranger says so when an update has made the first shadow of a thing that the group does not
// have: that is legal, and mostly a slip of the hand.
func (s *shadowCommand) noteStranger(ctx context.Context, a *app, daemon *client.Client, thing string, accepted json.RawMessage) {
	var d shadowDocument
	if json.Unmarshal(accepted, &d) != nil || d.Version != 1 {
		return
	}
	if list, err := daemon.Shadows(ctx, thing); err != nil || len(list.Shadows) > 1 {
		return
	}
	site, err := daemon.Status(ctx)
	if err != nil || thing == site.Core || slices.ContainsFunc(site.Devices, func(d client.Device) bool { return d.Thing == thing }) {
		return
	}
	var e subscriptions.Explanation
	if text, err := daemon.Explain(ctx, message.DeviceEndpoint(thing).String(), "shadow", ""); err == nil && json.Unmarshal(text, &e) == nil {
		undo := "greengate shadow delete " + thing
		if s.name != "" {
			undo += " --name " + s.name
		}
		a.complain(fmt.Errorf("note: %s has a shadow now: %s (`%s` takes it away)", thing, e.Reason, undo))
	}
}

func newShadowDelete(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete THING [--name N]",
		Short: "delete a shadow",
		Args:  oneThing,
	}
	s := shadowFlags(cmd)
	cmd.RunE = s.action(a, func(daemon *client.Client, cmd *cobra.Command, args []string) error {
		accepted, err := daemon.DeleteShadow(cmd.Context(), args[0], s.name)
		return s.print(a, accepted, err, func(d *shadowDocument) string {
			return fmt.Sprintf("%s: deleted at version %d", s.subject(args[0]), d.Version)
		})
	})
	return cmd
}

func newShadowList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [THING]",
		Short: "list the shadows of a thing, or of all things",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("name one thing, or none for all")
			}
			return nil
		},
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, args []string) error {
		thing := strings.Join(args, "")
		if len(args) > 0 {
			if err := message.CheckThing(thing); err != nil {
				return inputError{err}
			}
		}
		return show(a, *asJSON,
			func(d *client.Client) (client.ShadowList, error) { return d.Shadows(cmd.Context(), thing) },
			func(list client.ShadowList) error { return a.writeShadowList(list.Shadows) })
	})
	return cmd
}

func (a *app) writeShadowList(list []client.Shadow) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "THING\tNAME\tVERSION\tUPDATED\tBYTES\tDELTA")
	for _, s := range list {
		name, delta := s.Name, "-"
		if name == "" {
			name = "(classic)"
		}
		if s.Delta {
			delta = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\n", s.Thing, name, s.Version, clock(s.Updated), s.Bytes, delta)
	}
	return w.Flush()
}

func oneThing(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one thing")
	}
	return nil
}

// shadowCommand is what the commands for one shadow have in common.
type shadowCommand struct {
	name   string // "" for the classic shadow
	asJSON *bool
}

func shadowFlags(cmd *cobra.Command) *shadowCommand {
	s := &shadowCommand{asJSON: jsonFlag(cmd)}
	cmd.Flags().StringVar(&s.name, "name", "", "the named shadow of that `name`; without it the classic one")
	return s
}

// action is the work of a command whose first argument is a thing.
func (s *shadowCommand) action(a *app, work func(*client.Client, *cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return action(func(cmd *cobra.Command, args []string) error {
		if err := message.CheckThing(args[0]); err != nil {
			return inputError{err}
		}
		if cmd.Flags().Changed("name") { // "" is a mistake, say of a script, and not the classic shadow
			if err := localshadow.CheckName(s.name); err != nil {
				return inputError{fmt.Errorf("--name: %w", err)}
			}
		}
		daemon, err := a.daemon()
		if err != nil {
			return err
		}
		return work(daemon, cmd, args)
	})
}

func (s *shadowCommand) subject(thing string) string {
	if s.name == "" {
		return thing
	}
	return thing + " " + s.name
}

// shadowDocument is a document of the service.
type shadowDocument struct {
	State       json.RawMessage `json:"state,omitempty"`
	Metadata    json.RawMessage `json:"metadata,omitempty"`
	Version     int64           `json:"version"`
	Timestamp   int64           `json:"timestamp"`
	ClientToken json.RawMessage `json:"clientToken,omitempty"`
}

// condition tells whether desired and reported differ, and how old the document
// is: its own timestamp is that of the question.
func (d *shadowDocument) condition() string {
	var state struct{ Delta json.RawMessage }
	words := "nothing differs"
	if json.Unmarshal(d.State, &state) == nil && state.Delta != nil {
		words = "desired and reported differ (delta)"
	}
	if newest := newestTime(d.Metadata); newest > 0 {
		words += ", newest value of " + clock(time.Unix(newest, 0))
	}
	return words
}

// newestTime returns the latest time in the metadata of a document, in Unix
// seconds, or 0. All numbers of metadata are times.
func newestTime(metadata json.RawMessage) (newest int64) {
	for tokens := json.NewDecoder(bytes.NewReader(metadata)); ; {
		token, err := tokens.Token()
		if err != nil {
			return newest // at the end
		}
		if n, ok := token.(float64); ok {
			newest = max(newest, int64(n))
		}
	}
}

// print writes the answer of the service to stdout. A person gets it without the
// metadata, and a line that sums it up on stderr: a pipe gets JSON either way.
func (s *shadowCommand) print(a *app, document json.RawMessage, err error, summary func(*shadowDocument) string) error {
	switch {
	case err != nil:
		return refusedWithCode(err)
	case *s.asJSON:
		return a.printJSON(document)
	}
	var d shadowDocument
	if err := json.Unmarshal(document, &d); err != nil {
		return fmt.Errorf("read the document: %w", err)
	}
	fmt.Fprintln(a.stderr, summary(&d))
	d.Metadata = nil
	return a.printJSON(d)
}

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"greengate/sync/cloud/cloudtest"
)

// fault sets a fault of the running iotsim; the rest of the arguments are flags.
func fault(ctx context.Context, command, name, value string, args []string) error {
	a := newAsker(command)
	if _, err := a.parse(args, 0, 0); err != nil {
		return err
	}
	return a.post(ctx, "/fault", url.Values{"name": {name}, "value": {value}}, "")
}

func pullPlug(ctx context.Context, args []string, _ io.Writer) error {
	return fault(ctx, "pull-plug", "blackhole", "on", args)
}

func plugIn(ctx context.Context, args []string, _ io.Writer) error {
	return fault(ctx, "plug-in", "blackhole", "off", args)
}

func heal(ctx context.Context, args []string, _ io.Writer) error {
	return fault(ctx, "heal", "all", "off", args)
}

func setFault(ctx context.Context, args []string, _ io.Writer) error {
	a := newAsker("fault")
	rest, err := a.parse(args, 2, 2)
	if err != nil {
		return err
	}
	return a.post(ctx, "/fault", url.Values{"name": {rest[0]}, "value": {rest[1]}}, "")
}

func cut(ctx context.Context, args []string, out io.Writer) error {
	a := newAsker("cut")
	fin := a.flags.Bool("fin", false, "with a FIN instead of an RST")
	rest, err := a.parse(args, 0, 1)
	if err != nil {
		return err
	}
	query := url.Values{}
	if *fin {
		query.Set("fin", "1")
	}
	if len(rest) == 1 {
		query.Set("client", rest[0])
	}
	return a.count(ctx, "/cut", query, out)
}

func disconnect(ctx context.Context, args []string, out io.Writer) error {
	a := newAsker("disconnect")
	rest, err := a.parse(args, 2, 2)
	if err != nil {
		return err
	}
	return a.count(ctx, "/disconnect", url.Values{"client": {rest[0]}, "code": {rest[1]}}, out)
}

// count prints how many connections a command has met.
func (a *asker) count(ctx context.Context, path string, query url.Values, out io.Writer) error {
	answer, err := a.ask(ctx, http.MethodPost, path, query, "")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "connections: %s", answer)
	return err
}

func revoke(ctx context.Context, args []string, _ io.Writer) error {
	return ofThing(ctx, "revoke", args)
}

func restore(ctx context.Context, args []string, _ io.Writer) error {
	return ofThing(ctx, "restore", args)
}

func ofThing(ctx context.Context, command string, args []string) error {
	a := newAsker(command)
	rest, err := a.parse(args, 1, 1)
	if err != nil {
		return err
	}
	return a.post(ctx, "/"+command, url.Values{"thing": {rest[0]}}, "")
}

func publish(ctx context.Context, args []string, _ io.Writer) error {
	a := newAsker("publish")
	retain := a.flags.Bool("retain", false, "retain the message")
	rest, err := a.parse(args, 2, 2)
	if err != nil {
		return err
	}
	query := url.Values{"topic": {rest[0]}}
	if *retain {
		query.Set("retain", "1")
	}
	return a.post(ctx, "/publish", query, rest[1])
}

func shadow(ctx context.Context, args []string, out io.Writer) error {
	a := newAsker("shadow")
	name := a.flags.String("name", "", "name of a named shadow")
	rest, err := a.parse(args, 2, 3)
	if err != nil {
		return err
	}
	document := ""
	if len(rest) == 3 {
		document = rest[2]
	}
	answer, err := a.ask(ctx, http.MethodPost, "/shadow", url.Values{"do": {rest[0]}, "thing": {rest[1]}, "name": {*name}}, document)
	if err != nil {
		return err
	}
	_, err = out.Write(answer)
	return err
}

// certificate needs no running iotsim: the CA is in DIR.
func certificate(_ context.Context, args []string, out io.Writer) error {
	a := newAsker("certificate")
	folder := a.flags.String("out", "", "folder of the files; that of iotsim without")
	rest, err := a.parse(args, 1, 1)
	if err != nil {
		return err
	}
	if *folder == "" {
		*folder = a.dir
	}
	if err := os.MkdirAll(*folder, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	ca, err := cloudtest.OpenAuthority(a.dir)
	if err != nil {
		return err
	}
	f := cloudtest.FilesIn(*folder, rest[0])
	if err := ca.WriteFiles(f, rest[0]); err != nil {
		return fmt.Errorf("write the certificate: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s\n%s\n%s\n", f.Certificate, f.Key, f.CA)
	return err
}

// Command iotsim is the cloud in a box as a program: a strict stand-in for AWS
// IoT Core on this machine, to try greengate without an account.
//
//	iotsim run DIR              serves; certificates are made in DIR the first time,
//	                            shadows and retained messages are kept there
//	iotsim status               clients, counters, faults
//	iotsim pull-plug, plug-in   no byte gets through, without a FIN; and again
//	iotsim fault NAME VALUE     switches a fault (iotsim faults lists them)
//
// The other commands speak to the one that runs, over a Unix socket in DIR,
// which is --dir, else $IOTSIM_DIR, else the current folder. All of the cloud
// is in sync/cloud/cloudtest, the only package of ours it may import; nobody
// may import it. Each command has one goroutine beside those of the Cloud, run three more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Exit codes, as greengate's.
const (
	exitUsage      = 1
	exitFailed     = 2
	exitNotRunning = 3
)

var (
	// errUsage is in the errors that the command line is to blame for.
	errUsage      = errors.New("see iotsim help")
	errNotRunning = errors.New("iotsim is not running there (start it with iotsim run DIR)")
)

// refusal is what the cloud says no to, in its own words.
type refusal string

func (r refusal) Error() string { return string(r) }

type command struct {
	name, args, does string
	run              func(ctx context.Context, args []string, out io.Writer) error
}

// commands is a function, since help prints the list it is in.
func commands() []command {
	return []command{
		{"run", "DIR", "serve, and keep shadows and retained messages in DIR (--help: its flags)", runCloud},
		{"status", "", "show clients, counters and faults", status},
		{"pull-plug", "", "let no byte through, without a FIN", pullPlug},
		{"plug-in", "", "end pull-plug", plugIn},
		{"faults", "", "list the faults", listFaults},
		{"fault", "NAME VALUE", "switch a fault", setFault},
		{"heal", "", "end all faults", heal},
		{"cut", "[CLIENT]", "end connections with an RST (--fin: with a FIN)", cut},
		{"disconnect", "CLIENT CODE", "disconnect with a code of MQTT 5", disconnect},
		{"revoke", "THING", "revoke a thing's certificates", revoke},
		{"restore", "THING", "take revoke back", restore},
		{"publish", "TOPIC PAYLOAD", "publish from the cloud", publish},
		{"shadow", "get|update|delete|list THING [DOCUMENT]", "use a shadow as the console does (--name N)", shadow},
		{"certificate", "THING", "issue a certificate for a thing (--out DIR)", certificate},
		{"help", "", "show this list", help},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program, for main and its tests; it returns the exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	name := "help"
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		fmt.Fprintf(errs, "iotsim: %q is no command (%v)\n", name, errUsage)
		return exitUsage
	}
	err := all[i].run(ctx, args, out)
	if err == nil {
		return 0
	}
	fmt.Fprintf(errs, "iotsim: %v\n", err)
	switch {
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp), errors.As(err, new(refusal)):
		return exitUsage
	case errors.Is(err, errNotRunning):
		return exitNotRunning
	}
	return exitFailed
}

func help(_ context.Context, _ []string, out io.Writer) error {
	for _, c := range commands() {
		fmt.Fprintf(out, "  iotsim %-42s %s\n", c.name+" "+c.args, c.does)
	}
	return nil
}

// parse reads flags that may stand anywhere among the arguments, and wants
// between least and most of the others.
func parse(flags *flag.FlagSet, args []string, least, most int) (rest []string, err error) {
	flags.SetOutput(io.Discard)
	for {
		for len(args) > 0 && negative(args[0]) {
			rest, args = append(rest, args[0]), args[1:]
		}
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, fmt.Errorf("%s: its flags are\n%s%w", flags.Name(), defaults(flags), errUsage)
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", flags.Name(), err, errUsage)
		}
		if args = flags.Args(); len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if len(rest) < least || len(rest) > most {
		return nil, fmt.Errorf("%s takes %d to %d arguments, not %d: %w", flags.Name(), least, most, len(rest), errUsage)
	}
	return rest, nil
}

// defaults are the flags of a command, a line for each and one for what it does.
func defaults(flags *flag.FlagSet) string {
	var text strings.Builder
	flags.SetOutput(&text)
	flags.PrintDefaults()
	return text.String()
}

// negative tells whether an argument is a value such as -48h, and no flag.
func negative(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9'
}

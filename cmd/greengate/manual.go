package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newManual is for the making of packages, and hidden: nobody else needs it.
func newManual() *cobra.Command {
	return &cobra.Command{
		Use:    "manual DIR",
		Short:  "write the man pages of all commands",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: action(func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.InitDefaultHelpFlag()
			root.InitDefaultCompletionCmd()
			return writeManual(root, args[0])
		}),
	}
}

// writeManual writes a page of section 1 for cmd and each command below it.
func writeManual(cmd *cobra.Command, dir string) error {
	name := pageName(cmd) + ".1"
	if err := os.WriteFile(filepath.Join(dir, name), manPage(cmd), 0o644); err != nil {
		return fmt.Errorf("write the man page: %w", err)
	}
	for _, c := range cmd.Commands() {
		if documented(c) {
			if err := writeManual(c, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// documented tells a command that a person would look up.
func documented(cmd *cobra.Command) bool { return cmd.IsAvailableCommand() && cmd.Name() != "help" }

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage writes one page in the language of man(7).
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %q 1 \"\" \"greengate\" \"greengate\"\n", strings.ToUpper(pageName(cmd)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.CommandPath()))
	if cmd.HasAvailableSubCommands() {
		b.WriteString(".I command\n")
	} else if _, args, ok := strings.Cut(cmd.Use, " "); ok {
		b.WriteString(roff(args) + "\n")
	}
	b.WriteString("[flags]\n")
	if long := strings.TrimSpace(cmd.Long); long != "" {
		b.WriteString(".SH DESCRIPTION\n.nf\n" + roff(long) + "\n.fi\n")
	}
	manCommands(&b, cmd)
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	if !cmd.HasParent() {
		b.WriteString(".SH FILES\n.TP\n.I /etc/greengate/group.yaml\nthe group file\n" +
			".TP\n.I /var/lib/greengate\nthe state of the service\n")
	}
	b.WriteString(".SH EXIT STATUS\n0 done, 1 wrong input or configuration, 2 failed at run time, 3 the daemon is not running\n")
	if cmd.HasParent() {
		fmt.Fprintf(&b, ".SH SEE ALSO\n.BR %s (1)\n", roff(pageName(cmd.Parent())))
	}
	return b.Bytes()
}

func manCommands(b *bytes.Buffer, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString(".SH COMMANDS\n")
	for _, c := range cmd.Commands() {
		if documented(c) {
			fmt.Fprintf(b, ".TP\n.BR %s (1)\n%s\n", roff(pageName(c)), roff(c.Short))
		}
	}
}

func manFlags(b *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	b.WriteString(".SH " + title + "\n")
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		word, usage := pflag.UnquoteUsage(f)
		if f.Name == "config" {
			f.DefValue = defaultConfig // not that of who makes the pages
		}
		switch f.DefValue {
		case "", "false", "[]", "0", "0s":
		default:
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		names := "--" + f.Name
		if f.Shorthand != "" {
			names = "-" + f.Shorthand + ", " + names
		}
		fmt.Fprintf(b, ".TP\n.B %s\n", strings.TrimSpace(roff(names)+" "+roff(word)))
		b.WriteString(roff(usage) + "\n")
	})
}

// roff escapes what man(7) would take for its own: backslashes, hyphens that are typed,
// and a dot or an apostrophe at the beginning of a line.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

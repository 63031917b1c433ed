package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// speakPlainly has all commands say in plain words what cobra, pflag and strconv say of wrong ones.
func speakPlainly(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return plainFlag(err) })
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.HasSubCommands() && !cmd.Runnable() { // the one for completion
			cmd.Args, cmd.RunE = cobra.NoArgs, help
		}
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error { return plainArgs(cmd, args, check(cmd, args)) }
		}
		for _, c := range cmd.Commands() {
			visit(c)
		}
	}
	visit(root)
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = func(_ *cobra.Command, args []string) error {
			if found, rest, _ := root.Find(args); found.HasSubCommands() {
				return plainArgs(found, rest, cobra.NoArgs(found, rest))
			}
			return nil
		}
	}
}

// plainArgs says of a word that cobra.NoArgs has refused what it could have been.
func plainArgs(cmd *cobra.Command, args []string, err error) error {
	none := cobra.NoArgs(cmd, args)
	if err == nil || none == nil || err.Error() != none.Error() {
		return err
	}
	if !cmd.HasSubCommands() {
		return fmt.Errorf("%s takes no arguments (not %q)", cmd.CommandPath(), args[0])
	}
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
	}
	return fmt.Errorf("%w (`%s --help` lists the commands)", err, cmd.CommandPath())
}

// plainFlag says what a flag could have been.
func plainFlag(err error) error {
	var wrong *pflag.InvalidValueError
	if !errors.As(err, &wrong) {
		return err
	}
	want := map[string]string{
		"int":      "is no whole number",
		"int64":    "is no whole number",
		"duration": "is no time (write 200ms, 30s, 5m or 12h)",
		"bool":     "is neither true nor false",
	}[wrong.GetFlag().Value.Type()]
	if want == "" {
		return err
	}
	return fmt.Errorf("--%s: %q %s", wrong.GetFlag().Name, wrong.GetValue(), want)
}

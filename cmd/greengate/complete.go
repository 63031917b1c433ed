package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/core/message"
)

// names gives the words that a shell may put at the cursor, out of the group file.
type names func(c *configs.Config) []string

func deviceNames(c *configs.Config) (list []string) {
	for _, d := range c.Devices {
		list = append(list, d.Thing)
	}
	return list
}

// shadowNames are the things that may have a shadow.
func shadowNames(c *configs.Config) []string { return append(deviceNames(c), c.Core) }

func functionNames(c *configs.Config) []string { return c.Names().Functions }

func pinNames(c *configs.Config) []string { return c.Names().Pins }

func labelNames(c *configs.Config) (list []string) {
	for _, d := range c.Devices {
		list = append(list, d.Labels...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// endpointNames are all that a message may come from or go to.
func endpointNames(c *configs.Config) []string {
	list := []string{"cloud", "shadow"}
	for _, kind := range []struct {
		kind  message.Kind
		names []string
	}{{message.Device, deviceNames(c)}, {message.Function, functionNames(c)}, {message.GPIO, pinNames(c)}} {
		for _, n := range kind.names {
			list = append(list, message.Endpoint{Kind: kind.kind, Name: n}.String())
		}
	}
	return list
}

// firstNames are the names for the first argument of commands, by their path, and
// flagNames those for flags.
var (
	firstNames = map[string]names{
		"device remove": deviceNames, "device renew": deviceNames,
		"shadow get": shadowNames, "shadow update": shadowNames, "shadow delete": shadowNames, "shadow list": shadowNames,
		"shadow history": shadowNames, "shadow diff": shadowNames, "shadow revert": shadowNames,
		"gpio set": pinNames, "gpio press": pinNames, "gpio identify": pinNames,
		"function logs": functionNames, "function invoke": functionNames, "function test": functionNames, "function quarantine": functionNames,
	}
	flagNames = map[string]map[string]names{
		"explain":          {"from": endpointNames, "to": endpointNames},
		"watch":            {"from": endpointNames, "to": endpointNames, "verdict": func(*configs.Config) []string { return verdicts }},
		"device add":       {"label": labelNames},
		"function requeue": {"function": functionNames}, "function discard": {"function": functionNames},
	}
)

// completeNames lets a shell complete what stands in the group file. A file with a
// fault completes nothing: this is no place to complain.
func (a *app) completeNames(cmd *cobra.Command, path string) {
	complete := func(of names, list bool) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return func(_ *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if !list && len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			c, err := configs.Load(a.config)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			before, last := "", word
			if i := strings.LastIndexByte(word, ','); list && i >= 0 {
				before, last = word[:i+1], word[i+1:]
			}
			var fit []string
			for _, n := range of(c) {
				if strings.HasPrefix(n, last) {
					fit = append(fit, before+n)
				}
			}
			return fit, cobra.ShellCompDirectiveNoFileComp
		}
	}
	if of := firstNames[path]; of != nil && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = complete(of, false)
	}
	for flag, of := range flagNames[path] {
		if cmd.Flags().Lookup(flag) != nil {
			_ = cmd.RegisterFlagCompletionFunc(flag, complete(of, true)) // fails only for a flag that has one
		}
	}
}

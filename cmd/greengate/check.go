package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"greengate/configs"
	"greengate/gpio"
)

// checked is the answer of `check --json`.
type checked struct {
	File     string         `json:"file"`
	Valid    bool           `json:"valid"`
	Devices  int            `json:"devices"`
	Rows     int            `json:"rows"`
	Faults   []checkedFault `json:"faults"`
	Warnings []checkedFault `json:"warnings"`
	Unserved []string       `json:"unserved"` // parts of the file that this version does not serve: there are none
	// With --lint:
	Lint *linted `json:"lint,omitempty"`
}

type checkedFault struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Problem string `json:"problem"`
	Value   string `json:"value"`
	Hint    string `json:"hint"`
}

func newCheck(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "validate the group file as run would, every fault at once",
		Long: `Validates the group file as run would, and tells every fault at once, each with
its line and column and what to write instead.

--lint looks further at a file that is valid: rows that can never match or that another
row makes needless, labels that nobody wears, telemetry that is written into shadows,
and, when the daemon runs, rows that allow more than was ever used. What it finds are
warnings: the exit code is 0.`,
		Args: cobra.NoArgs,
	}
	print := cmd.Flags().Bool("print", false, "print the effective configuration")
	lint := cmd.Flags().Bool("lint", false, "warn of what is legal and hardly meant, too")
	unused := cmd.Flags().String("unused-after", "1d", "with --lint: a row is unused when the daemon saw no use of it for so long, a `time`")
	asJSON := jsonFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("print", "json")
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		least, err := parseDays(*unused)
		if err != nil {
			return badInput("--unused-after: %w", err)
		}
		if least < 0 {
			return badInput("--unused-after: a negative time has no meaning")
		}
		c, faults, err := a.checkFile(cmd.Context())
		if err != nil {
			return err
		}
		var found *linted
		if len(faults) == 0 && *lint {
			if found, err = a.lint(cmd.Context(), c, least); err != nil {
				return err
			}
		}
		if *asJSON {
			answer := a.checked(c, faults)
			answer.Lint = found
			return errors.Join(a.printJSON(answer), faulty(faults))
		}
		for _, w := range c.Warnings {
			a.complain(w)
		}
		if err := faulty(faults); err != nil {
			return err
		}
		if found != nil {
			found.tell(a)
		}
		if *print {
			return c.Print(a.stdout)
		}
		_, err = fmt.Fprintf(a.stdout, "%s is valid: %d devices, %d rows\n", a.config, len(c.Devices), len(c.Subscriptions))
		return err
	})
	return cmd
}

// checkFile tells every fault of the group file, and of what it names on this machine. Of
// a file with faults c is what could be read, with the warnings of that.
func (a *app) checkFile(ctx context.Context) (c *configs.Config, faults configs.Faults, err error) {
	c, err = configs.Examine(a.config)
	if err != nil && !errors.As(err, &faults) {
		return nil, nil, inputError{a.explainMissing(err)}
	}
	if c == nil { // it is no YAML
		return new(configs.Config), faults, nil
	}
	var more configs.Faults
	if err := checkPins(c); err != nil && !errors.As(err, &more) {
		return nil, nil, err
	}
	faults = faults.With(more...)
	checkToken(ctx, c)
	checkSpoolKeys(c)
	warnings := slices.DeleteFunc(c.Warnings, func(w configs.Fault) bool { return faults.Has(w.Path) })
	c.Warnings = configs.Faults(nil).With(warnings...) // in the order of the file
	return c, faults, nil
}

// faulty is the error of a file with these faults; nil when there are none.
func faulty(faults configs.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return inputError{faults}
}

// checkPins tells what the board that `run` would take, on this machine, cannot do of
// the file. That we may not open it is no fault of the file: who runs it may.
func checkPins(c *configs.Config) error {
	if c.GPIO == nil {
		return nil
	}
	warn := func(path, problem string) {
		f := c.FaultAt(path, problem, "")
		f.Warning = true
		c.Warnings = append(c.Warnings, f)
	}
	err := gpio.Check(*c.GPIO, slog.New(slog.DiscardHandler))
	var list gpio.PinErrors
	if errors.As(err, &list) && len(list) == 1 && list[0].Path == "gpio.driver" {
		warn(list[0].Path, "the pins were not checked: "+list[0].Problem)
		return nil
	}
	if chips, _ := filepath.Glob("/dev/gpiochip*"); c.GPIO.Driver == "auto" && len(chips) == 0 { // its pattern is right
		warn("gpio.driver", "this machine has no pins, so they were checked against the simulated board")
	}
	return pinFaults(c, err)
}

// checked makes the JSON form.
func (a *app) checked(c *configs.Config, faults configs.Faults) checked {
	return checked{
		File: a.config, Valid: len(faults) == 0, Devices: len(c.Devices), Rows: len(c.Subscriptions),
		Faults: faultList(faults), Warnings: faultList(c.Warnings), Unserved: []string{},
	}
}

func faultList(faults configs.Faults) []checkedFault {
	list := make([]checkedFault, len(faults))
	for i, f := range faults {
		list[i] = checkedFault{f.Line, f.Column, f.Path, f.Problem, f.Value, f.Hint}
	}
	return list
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

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
		c, err := a.load()
		if err == nil {
			err = a.checkPins(c)
		}
		if err == nil {
			err = checkToken(cmd.Context(), c)
		}
		if err == nil {
			err = checkSpoolKeys(c)
		}
		var found *linted
		if err == nil && *lint {
			found, err = a.lint(cmd.Context(), c, least)
		}
		var faults configs.Faults
		if *asJSON && (err == nil || errors.As(err, &faults)) {
			answer := a.checked(c, faults)
			answer.Lint = found
			return errors.Join(a.printJSON(answer), err)
		}
		if err != nil {
			return err
		}
		for _, w := range c.Warnings {
			a.complain(w)
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

// checkPins tells what the pins of this machine cannot do of the file. Where it has
// none, or lets us see none, that is no fault of the file: it may be for another.
func (a *app) checkPins(c *configs.Config) error {
	if c.GPIO == nil {
		return nil
	}
	chips, _ := filepath.Glob("/dev/gpiochip*") // its pattern is right
	if c.GPIO.Driver != "sim" && len(chips) == 0 {
		a.complain(errors.New("warning: gpio: this machine has no pins, so they were not checked"))
		return nil
	}
	err := gpio.Check(*c.GPIO, slog.New(slog.DiscardHandler))
	var wrong gpio.PinErrors
	if errors.As(err, &wrong) && len(wrong) == 1 && wrong[0].Path == "gpio.driver" {
		a.complain(fmt.Errorf("warning: gpio: the pins were not checked: %s", wrong[0].Problem))
		return nil
	}
	return pinFaults(c, err)
}

// checked makes the JSON form; c is nil when there are faults.
func (a *app) checked(c *configs.Config, faults configs.Faults) checked {
	answer := checked{File: a.config, Valid: c != nil && len(faults) == 0, Faults: faultList(faults), Warnings: faultList(nil), Unserved: []string{}}
	if c != nil {
		answer.Devices, answer.Rows = len(c.Devices), len(c.Subscriptions)
		answer.Warnings = faultList(c.Warnings)
	}
	return answer
}

func faultList(faults configs.Faults) []checkedFault {
	list := make([]checkedFault, len(faults))
	for i, f := range faults {
		list[i] = checkedFault{f.Line, f.Column, f.Path, f.Problem, f.Value, f.Hint}
	}
	return list
}

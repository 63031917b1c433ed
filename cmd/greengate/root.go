package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
)

// defaultConfig is where the Debian package keeps the group file.
const defaultConfig = "/etc/greengate/group.yaml"

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "greengate",
		Short: "a local AWS IoT Greengrass core that needs no cloud",
		Long: `greengate is the gateway of a site: devices discover it, connect with their
certificates, and exchange what the subscription table of the group file allows.

Start with:  greengate init mysite  and  greengate run --config mysite/group.yaml`,
		SilenceErrors: true, // main writes them, in the form of this house
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          help,
	}
	root.PersistentFlags().StringVar(&a.config, "config", cmp.Or(os.Getenv("GREENGATE_CONFIG"), defaultConfig),
		"the group `file`; also $GREENGATE_CONFIG")
	root.AddCommand(
		newInit(a), newRun(a), newReload(a), newCheck(a), newPlan(a), newApply(a), newDoctor(a), newAudit(a), newBackup(a), newRestore(a), newBundle(a), newDevice(a), newStatus(a),
		newExplain(a), newWatch(a), newLearn(a), newShadow(a), newGPIO(a), newSpool(a), newFunction(a), newCloud(a), newAdmin(a), newImport(a), newSchema(a), newVersion(a),
		newManual(),
	)
	speakPlainly(root)
	addExamples(a, root)
	return root
}

// help is the work of a command that only holds others.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// action marks the errors of a command's work, which tells them from those of
// its flags and arguments.
func action(work func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := work(cmd, args); err != nil {
			return failure{err}
		}
		return nil
	}
}

// show asks the running daemon and prints its answer: as JSON, or as write has
// it for a person.
func show[T any](a *app, asJSON bool, ask func(*client.Client) (T, error), write func(T) error) error {
	daemon, err := a.daemon()
	if err != nil {
		return err
	}
	answer, err := ask(daemon)
	if err != nil {
		return a.explainSilence(err)
	}
	if asJSON {
		return a.printJSON(answer)
	}
	return write(answer)
}

// jsonFlag adds --json to cmd.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print one JSON document")
}

// printJSON writes v to stdout, indented.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(safeJSON{a.stdout})
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

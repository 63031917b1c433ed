package main

import (
	"strings"

	"github.com/spf13/cobra"

	"greengate/configs/greengrassv1"
)

func newImportV2(a *app) *cobra.Command {
	i := &importing{a: a}
	cmd := &cobra.Command{
		Use:   "greengrass-v2 FILE... --out DIR",
		Short: "make a site of what concerns the client devices of a Greengrass V2 core",
		Long: `Makes the site DIR of what concerns client devices in a Greengrass V2 core: the policies
of client device auth, the mappings of the MQTT bridge, the settings of the shadow
manager, and endpoint and certificate of the core. FILE is, in any mixture, the answer of
aws greengrassv2 get-deployment or list-client-devices-associated-with-core-device, a
recipe, the core's effectiveConfig.yaml (/greengrass/v2/config), its certificates, a
folder or a zip. What a file is, is seen from its content.

DIR gets what ` + "`greengate import greengrass-v1`" + ` makes, README.md with the report among it.
Greengrass V2 does not say which certificate a device has: name it with --certificate
(the id is the end of what aws iot list-thing-principals --thing-name THING prints), or
later in the file. See docs/migrate.md.`,
	}
	i.flags(cmd)
	certificates := cmd.Flags().StringArray("certificate", nil, "`THING=ID` of the certificate of a client device; may be repeated")
	i.importFile = func(files []greengrassv1.File, o greengrassv1.Options) (*greengrassv1.Result, error) {
		of := map[string]string{}
		for _, c := range *certificates {
			thing, id, ok := strings.Cut(c, "=")
			if !ok {
				return nil, badInput("--certificate: %q is not THING=ID", c)
			}
			// What list-thing-principals prints does, too.
			of[thing] = id[strings.LastIndex(id, "/")+1:]
		}
		return greengrassv1.ImportV2(files, of, o)
	}
	return cmd
}

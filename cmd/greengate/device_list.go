package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"greengate/core/admin/client"
	"greengate/core/pki"
)

// listedDevice is one device of `device list --json`.
type listedDevice struct {
	Thing        string              `json:"thing"`
	Line         int                 `json:"line"` // in the group file
	Labels       []string            `json:"labels"`
	Certificates []listedCertificate `json:"certificates"`
	Connected    *bool               `json:"connected"` // null: the daemon is not running
}

type listedCertificate struct {
	Fingerprint string     `json:"fingerprint"` // SHA-256, hex; also the AWS certificateId
	IssuedAt    *time.Time `json:"issued_at"`   // null: another CA's, by the group file
}

func newDeviceList(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the devices, their certificates and who is connected",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(cmd)
	cmd.RunE = action(func(cmd *cobra.Command, _ []string) error {
		devices, err := a.listDevices(cmd.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return a.printJSON(map[string][]listedDevice{"devices": devices})
		}
		return a.writeDeviceList(devices)
	})
	return cmd
}

func (a *app) listDevices(ctx context.Context) ([]listedDevice, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	record, err := pki.OpenRecord(c.PKI.Dir, pki.Clock{})
	if err != nil {
		return nil, err
	}
	// Who is connected is an extra: a daemon that cannot be asked hides nothing
	// of the file.
	status, _ := client.New(c.Socket()).Status(ctx)
	connected := map[string]bool{}
	if status != nil {
		for _, d := range status.Devices {
			connected[d.Thing] = d.Connected
		}
	}
	devices := make([]listedDevice, 0, len(c.Devices))
	for _, d := range c.Devices {
		l := listedDevice{Thing: d.Thing, Line: d.Line, Labels: append([]string{}, d.Labels...), Certificates: []listedCertificate{}}
		if f := d.Fingerprint(); f != "" {
			l.Certificates = append(l.Certificates, listedCertificate{Fingerprint: f})
		}
		issued, err := record.Issued(d.Thing)
		if err != nil {
			return nil, err
		}
		for _, i := range issued {
			l.Certificates = append(l.Certificates, listedCertificate{i.Fingerprint, &i.At})
		}
		if status != nil {
			is := connected[d.Thing]
			l.Connected = &is
		}
		devices = append(devices, l)
	}
	return devices, nil
}

func (a *app) writeDeviceList(devices []listedDevice) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "THING\tLABELS\tSTATE\tCERTIFICATE\tISSUED")
	for _, d := range devices {
		state := "-"
		if d.Connected != nil {
			state = map[bool]string{true: "connected", false: "away"}[*d.Connected]
		}
		labels := strings.Join(d.Labels, ",")
		if labels == "" {
			labels = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s", d.Thing, labels, state)
		if len(d.Certificates) == 0 {
			fmt.Fprintf(w, "\tnone\t(greengate device add %s makes one)\n", d.Thing)
		}
		for i, c := range d.Certificates {
			if i > 0 {
				fmt.Fprint(w, "\t\t") // under the first one
			}
			issued := "by another CA"
			if c.IssuedAt != nil {
				issued = c.IssuedAt.Local().Format("2006-01-02 15:04")
			}
			fmt.Fprintf(w, "\t%s...\t%s\n", c.Fingerprint[:16], issued)
		}
	}
	return w.Flush()
}

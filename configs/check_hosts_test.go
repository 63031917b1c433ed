package configs

import (
	"slices"
	"testing"
)

// However a person writes a host, clients are told what TLS and all resolvers take.
func TestHostsInTheirOneForm(t *testing.T) {
	c := mustParse(t, head+`discovery: {hosts: ["GW.Local.", "FD00:0::9", "::ffff:10.0.0.1", 192.168.1.5]}`)
	if want := []string{"gw.local", "fd00::9", "10.0.0.1", "192.168.1.5"}; !slices.Equal(c.Discovery.Hosts, want) {
		t.Errorf("got %q, want %q", c.Discovery.Hosts, want)
	}
}

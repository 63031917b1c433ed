package greengrassv1

import (
	"cmp"
	"fmt"
	"strings"
)

// Readme is the text that goes into the site: what became of everything, and what to
// change on the devices. file is the group file as commands name it.
func (r *Result) Readme(file string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: moved over from Greengrass\n\n", oneLine(r.Group))
	b.WriteString("Made by `greengate import " + r.Report.From + "`. docs/migrate.md of greengate tells the whole way, its risks, and the way back.\n\n")
	fmt.Fprintf(&b, "```sh\ngreengate check --config %s\ngreengate run --config %s\n```\n\n", file, file)
	b.WriteString("## What became of everything\n\n```\n")
	var text strings.Builder
	_ = r.Report.Text(&text) // a Builder takes all
	b.WriteString(strings.ReplaceAll(text.String(), "```", "'''") + "```\n\n")
	b.WriteString(strings.NewReplacer("HOST", cmp.Or(r.host, "greengrass-ats.iot.REGION.amazonaws.com"), "FILE", file).Replace(devicesText))
	return b.String()
}

// devicesText is what to change on the devices. GATEWAY is for the reader to fill in.
const devicesText = "## What to change on the devices\n" + `
Keys, certificates, thing names, client ids, topics and code stay. A device needs two
things: the way here, and trust in the CA of this site, ` + "`pki/root-ca.pem`" + `, since no
one but Amazon has the key of Amazon's. GATEWAY is the address of this machine.

1. **Trust.** Append the CA to the root CA file that the device has (a copy first is the
   way back). With both in it the device trusts this gateway and AWS:

       cp root-ca.pem root-ca.pem.before
       cat pki/root-ca.pem >> root-ca.pem

   The one case that needs more is a device whose *code* pins Amazon's root CA, as a
   constant of a firmware (FreeRTOS, the embedded C SDK) or as the hash of a key: it needs
   a build, or whatever file it is read from, with ` + "`pki/root-ca.pem`" + ` in it.
2. **The way.** Either its endpoint argument is GATEWAY, or the name that it has leads
   here: an entry in the DNS of the site, or in /etc/hosts of the device:

       GATEWAY  HOST

   With a name in place of an address, the name must be in the certificate of the gateway,
   and be what discovery answers: ` + "`discovery.hosts: [HOST]`" + ` in FILE.
3. **What it remembers.** Many programs keep the group CA and the address of the core in
   ./groupCA and never ask again: delete that folder.

| SDK | the way here | root CA file |
|---|---|---|
| Python, version 1 (AWSIoTPythonSDK) | ` + "`-e GATEWAY`, or `DiscoveryInfoProvider.configureEndpoint(\"GATEWAY\", 8443)`" + `. Port 8443, nothing else to set | ` + "`-r`, first argument of `configureCredentials`" + ` |
| JavaScript, Python, C++, version 2 | the last argument of DiscoveryClient (` + "`gg_server_name`" + `) is GATEWAY; programs that set none: the hosts entry. They ask on port 443 only: ` + "`discovery.listen: [\"0.0.0.0:8443\", \"0.0.0.0:443\"]`" + ` | ` + "`--ca_file`" + `, or the trust store of the TlsContextOptions |
| JavaScript, version 1 (aws-iot-device-sdk) | has no discovery: ` + "`host: 'GATEWAY', port: 8883`" + ` | ` + "`caPath`" + ` |
| embedded C, FreeRTOS | the broker endpoint of its configuration is GATEWAY; its discovery port 8443 | compiled in, as a rule |
| any MQTT client | GATEWAY, port 8883, client id = thing name | its CA file |
`

package greengrassv1

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"greengate/core/message"
)

// ImportV2 makes a site of what concerns the client devices of a Greengrass V2 core:
// the policies of client device auth, the mappings of the MQTT bridge, the settings of
// the shadow manager, and the core's own. certificates are the ids of the certificates
// of things, which nothing of Greengrass V2 says. The error is configs.Faults when the
// inputs are wrong.
func ImportV2(files []File, certificates map[string]string, o Options) (*Result, error) {
	for thing, id := range certificates {
		if err := message.CheckThing(thing); err != nil {
			return nil, fmt.Errorf("certificate %s=%s: %w", thing, id, err)
		}
		if len(id) != 64 || strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
			return nil, fmt.Errorf("the certificate of %s, %q, is no id of a certificate (64 hex digits)", thing, clip(id))
		}
	}
	d := recogniseV2(files)
	report := &Report{From: "greengrass-v2"}
	r := &reader{needed: map[string]*node{}}
	t := &v2Translator{d: d, r: r, s: &site{report: report}, bound: map[string]bool{}}
	t.s.core = cmp.Or(o.Core, d.core)
	t.auth()
	t.devices(certificates)
	t.shadows()
	t.bridge()
	t.local()
	t.others()
	for _, d := range t.d.targets {
		if thing := thingOf(d.text); t.s.core != thing {
			report.lacks(d, "deployment to "+thing, "it is for another core, and taken for this one")
		}
	}
	g := &group{core: t.s.core, coreSync: true, config: t.nucleus()}
	if faults := append(d.faults, r.faults...); len(faults) > 0 {
		return nil, unique(faults)
	}
	switch {
	case len(d.components) == 0 && len(d.things) == 0:
		return nil, d.nothing()
	case t.s.core == "":
		return nil, errors.New("the inputs do not name the core (add effectiveConfig.yaml of the core, or write --core THING)")
	}
	t.s.group = cmp.Or(o.Group, "greengrassV2-coreDevice-"+t.s.core)
	if o.Group == "" && len(t.s.group) > 64 {
		t.s.group = t.s.core[:min(len(t.s.core), 64)]
	}
	report.Group, report.Core = t.s.group, t.s.core
	copies := newTranslator(g, t.s).core(&finder{pems: d.pems, read: o.Read})
	d.noteFiles(copies)
	report.Inputs = d.known
	result, err := finish(t.s, copies, &o)
	if err != nil {
		return nil, err
	}
	if region := d.config(v2Nucleus).scalar("awsRegion"); region != "" {
		result.host = "greengrass-ats.iot." + region + ".amazonaws.com"
	}
	return result, nil
}

// devices are the associated ones, and those that a selection rule names in full.
func (t *v2Translator) devices(certificates map[string]string) {
	report := t.s.report
	things := slices.Clone(t.d.things)
	for _, g := range t.groups {
		for _, p := range g.patterns {
			if !strings.Contains(p, "*") && !slices.Contains(things, p) {
				things = append(things, p)
			}
		}
	}
	for _, thing := range slices.Sorted(maps.Keys(certificates)) {
		if !slices.Contains(things, thing) {
			things = append(things, thing)
		}
	}
	missing := 0
	owners := map[string]string{}
	for _, thing := range things {
		if err := message.CheckThing(thing); err != nil || thing == t.s.core {
			report.lacks(nil, "client device "+thing, "%s; left out", cmp.Or(fmt.Sprint(err), "it is the core"))
			continue
		}
		d := siteDevice{thing: thing, certificate: strings.ToLower(certificates[thing])}
		if owner := owners[d.certificate]; owner != "" {
			report.lacks(nil, "certificate of "+thing, "%s has the same one, and here one certificate is one thing", owner)
			d.certificate = ""
		}
		if d.certificate == "" {
			missing++
			d.comment = "certificate: its id is in the answer of aws iot list-thing-principals --thing-name " + thing
		} else {
			owners[d.certificate] = thing
		}
		for _, g := range t.groups {
			if label, ok := strings.CutPrefix(g.end, "label:"); ok && g.matches(thing) {
				d.labels = append(d.labels, label)
			}
		}
		t.s.devices = append(t.s.devices, d)
	}
	report.Counts.Devices = len(t.s.devices)
	if n := len(t.s.devices); n > 0 {
		report.took(nil, count(n, "client device"), "each with the labels of its groups; own_shadows: false, so that what a device may do is in the rows")
	} else {
		report.lacks(nil, "client devices", "none is named: add the answer of aws greengrassv2 list-client-devices-associated-with-core-device")
	}
	if missing > 0 {
		report.lacks(nil, "certificates of "+count(missing, "client device"), "Greengrass V2 does not say them")
		report.todo("say the certificates of the devices: --certificate THING=ID at the import, or `certificate: sha256:ID` in the file; the id is the end of what aws iot list-thing-principals --thing-name THING prints, and stands in the log when such a device tries to connect")
	}
}

// others tells of the components that are not translated.
func (t *v2Translator) others() {
	report := t.s.report
	for _, name := range t.d.components {
		at := t.d.at[name]
		switch name {
		case v2Auth, v2Bridge, v2Shadows, v2Nucleus, v2Lite:
		case v2Moquette, v2EMQX:
			c := t.d.config(name)
			port := c.find("moquette").scalar("ssl_port")
			if port == "" {
				port = c.find("emqxConfig", "listeners", "ssl", "default").scalar("bind")
			}
			if port != "" && port != "8883" {
				report.lacks(at, t.d.describe(name), "the broker is built in; it listened at %s: write that under broker.listen if devices do not learn it by discovery", port)
				continue
			}
			report.translated(at, t.d.describe(name), "the broker is built in")
		case v2Detector:
			report.translated(at, t.d.describe(name), "discovery answers with the address that the device has just reached")
		case "aws.greengrass.Cli", "aws.greengrass.LocalDebugConsole":
			report.translated(at, t.d.describe(name), "greengate status, explain, watch and the live page (docs/observe.md)")
		case "aws.greengrass.LogManager", "aws.greengrass.telemetry.NucleusEmitter":
			report.lacks(at, t.d.describe(name), "logs are in the journal, figures at /metrics (docs/observe.md); nothing of it goes to AWS")
		default:
			report.lacks(at, t.d.describe(name), "a component that handles messages can become a function; another program runs beside the gateway, as a unit of systemd")
		}
	}
}

// nucleus reads what the core itself has: its name, certificate, endpoint, proxy. What a
// deployment says of it counts without the configuration of the core, too.
func (t *v2Translator) nucleus() *coreConfig {
	n := t.d.config(v2Nucleus)
	if n == nil {
		n = t.d.config(v2Lite)
	}
	s, r := t.d.system, t.r
	if n == nil {
		return nil
	}
	c := &coreConfig{
		thing: r.text(s, "thingName"), host: r.text(n, "iotDataEndpoint"),
		mqttPort: r.number(n.get("mqtt"), "port"), keepAlive: r.number(n.get("mqtt"), "keepAliveTimeoutMs") / 1000,
		certificate: r.text(s, "certificateFilePath"), key: r.text(s, "privateKeyPath"), ca: r.text(s, "rootCaPath"), at: n,
		hostAt: n.get("iotDataEndpoint"), proxyAt: n.find("networkProxy", "proxy", "url"),
	}
	if p := n.find("networkProxy", "proxy"); p != nil {
		c.proxy, c.proxyUser, c.proxyPassword = r.text(p, "url"), r.text(p, "username"), r.text(p, "password")
	}
	if size := r.number(n.find("mqtt", "spooler"), "maxSizeInBytes"); size > 0 {
		t.s.spool = max(size, leastSpool)
		t.s.report.translated(n.find("mqtt", "spooler"), "spooler.maxSizeInBytes", "cloud.spool.max_size: %s, as it counts on disk", sizeText(t.s.spool))
	}
	return c
}

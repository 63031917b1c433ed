package greengrassv1

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// Copy is a file that goes into the site, beside the group file.
type Copy struct {
	Name   string // its path in the site
	From   string // where it was found
	Data   []byte
	Secret bool // mode 0600
}

// The names of the files for the cloud in a site.
const (
	coreCertificate = "pki/core.cert.pem"
	coreKey         = "pki/core.private.key"
	amazonRoot      = "pki/AmazonRootCA1.pem"
	amazonRootURL   = "https://www.amazontrust.com/repository/AmazonRootCA1.pem"
)

// finder looks for the files that a config.json names.
type finder struct {
	pems   []*File
	read   func(path string) ([]byte, error) // nil: nothing is read from this machine
	folder string                            // of config.json
}

// find returns the content of a file and where it was.
func (f *finder) find(path string) (data []byte, from string) {
	base := filepath.Base(path)
	var same []*File
	for _, p := range f.pems {
		if strings.HasSuffix("/"+filepath.ToSlash(p.Name), "/"+strings.TrimPrefix(path, "/")) {
			return p.Data, p.Name
		}
		if filepath.Base(p.Name) == base {
			same = append(same, p)
		}
	}
	if len(same) == 1 {
		return same[0].Data, same[0].Name
	}
	if f.read == nil {
		return nil, ""
	}
	tries := []string{filepath.Join(f.folder, "..", "certs", base), filepath.Join(f.folder, base)}
	if filepath.IsAbs(path) {
		tries = append(tries, path)
	} else {
		tries = append(tries, filepath.Join("/greengrass/certs", path))
	}
	for _, p := range tries {
		if data, err := f.read(p); err == nil {
			return data, p
		}
	}
	return nil, ""
}

// configName is what the owner knows the core's own configuration as.
func (t *translator) configName() string {
	switch {
	case t.s.report.From != "greengrass-v2":
		return "config.json"
	case t.g.config != nil && t.g.config.thing == "":
		return "the deployment"
	}
	return "effectiveConfig.yaml"
}

// core fills in the section cloud from config.json. It returns the files that go along.
func (t *translator) core(f *finder) (copies []Copy) {
	c, r := t.g.config, t.s.report
	if c == nil {
		r.lacks(nil, "connection to AWS IoT Core", "there was no %s of the core: the section cloud stands in the file as a comment, to be filled in (docs/cloud.md)", t.configName())
		if t.s.spool > 0 {
			r.lacks(nil, "size of the spool", "cloud.spool.max_size: %s belongs into that section", sizeText(t.s.spool))
		}
		return nil
	}
	if c.thing != "" && c.thing != t.s.core {
		r.lacks(c.at, "name of the core", "that file is of %s, and the core is %s: the certificate may not be the right one", c.thing, t.s.core)
	}
	switch {
	case c.localPort == 8443 || c.localPort == 8080 || c.localPort > 65535:
		r.lacks(c.at, fmt.Sprintf("ggMqttPort %d", c.localPort), "the gateway needs that port for something else; broker.listen: 8883, which discovery tells to the devices")
	case c.localPort != 0:
		t.s.mqttPort = c.localPort
		r.took(c.at, fmt.Sprintf("ggMqttPort %d", c.localPort), "the port of broker.listen")
	}
	if c.maxWorkItems != 0 {
		r.translated(c.at, fmt.Sprintf("maxWorkItemCount %d", c.maxWorkItems), "each function has a queue of its own, of 1000 calls, and each device one (docs/group-file.md, limits); what does not fit is counted")
	}
	if c.functionsAsRoot {
		r.lacks(c.at, "allowFunctionsToRunAsRoot", "a function runs as root only where the gateway does, and `user` says so; better give it what it needs under devices, read and write")
	}
	t.s.origins = map[string]*node{"cloud.endpoint": c.hostAt, "cloud.proxy": c.proxyAt}
	t.s.cloud = &siteCloud{certificate: coreCertificate, key: coreKey, ca: amazonRoot}
	t.endpoint(c)
	t.proxy(c)
	return t.credentials(f, c)
}

func (t *translator) endpoint(c *coreConfig) {
	s, r := t.s.cloud, t.s.report
	s.endpoint = c.host
	account, rest, _ := strings.Cut(c.host, ".")
	switch {
	case c.host == "":
		r.lacks(c.at, "endpoint of AWS IoT Core", "%s names none: the section cloud stands in the file as a comment, to be filled in (docs/cloud.md)", t.configName())
	case strings.HasPrefix(rest, "iot.") && strings.HasSuffix(rest, ".amazonaws.com") && !strings.HasSuffix(account, "-ats"):
		s.endpoint = account + "-ats." + rest
		r.translated(c.at, "endpoint "+c.host, "cloud.endpoint: %s, the endpoint of the same account whose certificate Amazon's root CA 1 has signed", s.endpoint)
	default:
		r.took(c.at, "endpoint "+c.host, "cloud.endpoint")
	}
	if c.mqttPort == 443 {
		s.port = 443
		r.took(c.at, "MQTT port 443", "cloud.port: 443, with ALPN")
	} else if c.mqttPort != 0 && c.mqttPort != 8883 {
		r.lacks(c.at, fmt.Sprintf("MQTT port %d", c.mqttPort), "AWS IoT Core listens at 8883 and 443; 8883 it is")
	}
	switch {
	case c.keepAlive == 600:
		r.translated(c.at, "keep-alive of 600 s", "that was the default; the one here is 60s, which notices a dead link sooner")
	case c.keepAlive != 0:
		s.keepAlive = min(max(c.keepAlive, 30), 1200)
		r.took(c.at, fmt.Sprintf("keep-alive of %d s", c.keepAlive), "cloud.keep_alive: %ds", s.keepAlive)
	}
}

// login is what no report shows of a proxy.
var login = regexp.MustCompile(`^([A-Za-z0-9+.-]*:?//)?.*@`)

func (t *translator) proxy(c *coreConfig) {
	if c.proxy == "" {
		return
	}
	u, err := url.Parse(c.proxy)
	r := t.s.report
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "socks5" {
		r.lacks(c.at, "proxy "+clip(login.ReplaceAllString(c.proxy, "${1}xxxxx@")), "cloud.proxy takes http:// and socks5://; left out")
		return
	}
	// The path means nothing, and the port must be said.
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "socks5": "1080"}[u.Scheme]
	}
	p := &url.URL{Scheme: u.Scheme, Host: u.Hostname() + ":" + port}
	if strings.Contains(u.Hostname(), ":") {
		p.Host = "[" + u.Hostname() + "]:" + port
	}
	if p.User = u.User; c.proxyUser != "" {
		p.User = url.UserPassword(c.proxyUser, c.proxyPassword)
	}
	t.s.cloud.proxy = p.String()
	r.took(c.at, "proxy "+p.Redacted(), "cloud.proxy")
}

// credentials finds the certificate, the key and the root CA, and sees to it that they
// belong together.
func (t *translator) credentials(f *finder, c *coreConfig) (copies []Copy) {
	r := t.s.report
	f.folder = filepath.Dir(c.at.file)
	get := func(what, path, name string, secret bool) []byte {
		p, ok := filePath(path)
		switch {
		case path == "":
			r.lacks(c.at, what+" of the core", "%s does not name it: put it to %s", t.configName(), name)
			r.todo("put the %s of the core to %s", what, name)
			return nil
		case !ok:
			r.lacks(c.at, what+" of the core, "+clip(path), "the key in a hardware module is not taken over by itself: name it, its module and its PIN in cloud.key (docs/certificates.md), or make the core a certificate with a key in a file, and put it to %s", name)
			r.todo("name the key of the hardware module in cloud.key (docs/certificates.md), or make the core a certificate with a key in a file: %s", name)
			return nil
		}
		data, from := f.find(p)
		if block, _ := pem.Decode(data); block == nil {
			t.s.cloud.comments = append(t.s.cloud.comments, fmt.Sprintf("copy %s to %s", clip(p), name))
			r.todo("copy %s of the old core to %s%s", clip(p), name, map[bool]string{true: ", mode 600"}[secret])
			return nil
		}
		copies = append(copies, Copy{name, from, data, secret})
		return data
	}
	certificate := get("certificate", c.certificate, coreCertificate, false)
	key := get("private key", c.key, coreKey, true)
	t.root(f, c, &copies)
	if certificate != nil && key != nil {
		if _, err := tls.X509KeyPair(certificate, key); err != nil {
			r.lacks(c.at, "certificate and key of the core", "they do not belong together: %v", err)
			r.todo("find the key that belongs to the certificate of the core: %s", coreKey)
		} else {
			r.took(c.at, "certificate and key of the core", "copied to %s and %s, for the connection to AWS IoT Core", coreCertificate, coreKey)
		}
	}
	if block, _ := pem.Decode(certificate); block != nil && len(t.g.coreCert) == 64 {
		if sum := sha256.Sum256(block.Bytes); hex.EncodeToString(sum[:]) != t.g.coreCert {
			r.lacks(t.g.coreAt, "certificate of the core", "the file that %s names is not the one of the core definition, %s", t.configName(), t.g.coreCert)
		}
	}
	if !t.g.coreSync && t.g.coreAt != nil {
		r.translated(t.g.coreAt, "SyncShadow false of the core", "the shadow of the core is kept equal with the cloud in any case")
	}
	r.took(nil, "shadows", "those with shadow: sync, and that of the core, are fetched from the cloud at the first contact")
	return copies
}

// root takes the root CA when it is one that the endpoint of today uses.
func (t *translator) root(f *finder, c *coreConfig, copies *[]Copy) {
	r := t.s.report
	if p, ok := filePath(c.ca); c.ca != "" && ok {
		if data, from := f.find(p); strings.Contains(string(data), "-----BEGIN CERTIFICATE-----") {
			*copies = append(*copies, Copy{amazonRoot, from, data, false})
			r.took(c.at, "root CA of the cloud", "copied from %s to %s", from, amazonRoot)
			return
		}
	}
	t.s.cloud.comments = append(t.s.cloud.comments, "get "+amazonRootURL+" to "+amazonRoot)
	r.todo("curl -o %s %s", amazonRoot, amazonRootURL)
}

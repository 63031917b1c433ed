package greengrassv1

import "time"

// group is a Greengrass group as the inputs have it, in AWS's terms.
type group struct {
	id, name   string
	core       string // the thing
	coreCert   string // the id of its certificate
	coreSync   bool
	coreAt     *node
	devices    []device
	rows       []row
	functions  []function
	resources  []resource
	loggers    []logger
	connectors []connector
	config     *coreConfig
	addresses  []string // from get-connectivity-info
}

type device struct {
	thing, certificate string
	sync               bool
	at                 *node
}

// end is one side of a row of V1.
type end struct {
	kind endKind
	name string // of a thing or connector
	f    functionARN
	arn  string
}

type endKind uint8

const (
	thingEnd endKind = iota + 1
	functionEnd
	connectorEnd
	cloudEnd
	shadowEnd
)

type row struct {
	id, subject    string
	source, target end
	at             *node
}

type function struct {
	arn        functionARN
	id         string
	encoding   string
	executable string
	args       string
	memory     int64 // KB; 0: none
	pinned     bool
	timeout    time.Duration // 0: the default
	runtime    string
	handler    string
	container  bool
	uid, gid   string
	sysfs      bool
	variables  []variable
	access     []access
	at         *node
}

type variable struct{ name, value string }

type access struct {
	resource string
	write    bool
}

type resource struct {
	id, name  string
	kind      string // device, volume, secret, model
	source    string
	dest      string
	autoGroup bool
	group     string
	at        *node
}

type logger struct {
	component, level, kind string
	space                  int64 // KB
	at                     *node
}

type connector struct {
	name, version string
	parameters    []variable
	at            *node
}

// coreConfig is config.json of the core, as far as it matters here.
type coreConfig struct {
	thing           string
	host            string
	mqttPort        int64
	localPort       int64
	keepAlive       int64 // seconds
	certificate     string
	key             string
	ca              string
	proxy           string // URL
	proxyUser       string
	proxyPassword   string
	functionsAsRoot bool
	maxWorkItems    int64
	at              *node
	hostAt, proxyAt *node // where host and proxy stand
}

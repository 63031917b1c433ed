package greengrassv1

import "time"

// site is what becomes a group file, in the terms of that file.
type site struct {
	group, core string
	data        string // folder
	devices     []siteDevice
	rows        []siteRow
	functions   []siteFunction
	cloud       *siteCloud
	spool       int64 // bytes; 0: the default
	logLevel    string
	mqttPort    int64
	ownShadows  bool
	report      *Report
	origins     map[string]*node // of keys that configs may refuse
}

type siteDevice struct {
	thing, certificate string
	labels             []string
	shadow             string // empty: sync
	direction          string // empty: both
	comment            string
	disabled           bool // written as a comment
}

// siteRow is one row of the table.
type siteRow struct {
	from, to []string
	topic    string
	comment  string
	rows     int    // how many subscriptions of the input it stands for
	left     string // not empty: written as a comment, for this reason
}

type siteFunction struct {
	name, dir, handler, encoding, user string
	command                            []string
	pinned                             bool
	timeout                            time.Duration
	memory                             int64
	read, write, devices               []string
	environment                        []variable
	comments                           []string
}

type siteCloud struct {
	endpoint         string
	port             int64
	certificate, key string
	ca, proxy        string
	keepAlive        int64
	comments         []string
}

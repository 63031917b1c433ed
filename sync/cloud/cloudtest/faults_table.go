package cloudtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// faultTable gives the faults names and a form as text, for programs such as
// iotsim. Values are "on" and "off" besides those of each kind: a count takes
// the next n, a code and a count are written CODE or CODE:COUNT (0x97:3).
var faultTable = []fault{
	{"refuse", "on|off", "reset each new TCP connection", onOff(func(f *Faults) *bool { return &f.Refuse })},
	{"connack", "CODE[:COUNT]", "refuse CONNECT with this code", codeCount(func(f *Faults) (*byte, *Count) { return &f.ConnackCode, &f.ConnackCount })},
	{"session-lost", "COUNT", "forget the session at the next CONNECT", count(func(f *Faults) *Count { return &f.SessionLost })},
	{"blackhole", "on|off", "swallow all bytes, no FIN", onOff(func(f *Faults) *bool { return &f.Blackhole })},
	{"stall", "on|off", "hold all bytes back", onOff(func(f *Faults) *bool { return &f.Stall })},
	{"latency", "DURATION", "delay each direction", duration(func(f *Faults) *time.Duration { return &f.Latency })},
	{"bandwidth", "BYTES", "bytes a second of each connection and direction", number(func(f *Faults) *int { return &f.Bandwidth })},
	{"puback-delay", "DURATION", "send PUBACKs late", duration(func(f *Faults) *time.Duration { return &f.PubackDelay })},
	{"puback-lost", "COUNT", "take publishes and never acknowledge them", count(func(f *Faults) *Count { return &f.PubackLost })},
	{"puback-withheld", "on|off", "keep PUBACKs back until off", onOff(func(f *Faults) *bool { return &f.PubackWithheld })},
	{"puback-twice", "COUNT", "send PUBACKs twice", count(func(f *Faults) *Count { return &f.PubackTwice })},
	{"puback-code", "CODE[:COUNT]", "refuse QoS 1 publishes with this code", codeCount(func(f *Faults) (*byte, *Count) { return &f.PubackCode, &f.PubackCount })},
	{"throttle", "on|off", "refuse QoS 1 publishes with 0x97", throttle},
	{"publish-lost", "COUNT", "lose publishes on their way in", count(func(f *Faults) *Count { return &f.PublishLost })},
	{"disconnect-after", "CODE:N", "disconnect with the code after n more publishes", disconnectAfter},
	{"poison", "FILTER[=TEXT]", "cut the connection of a publish to it (that holds the text)", poison},
	{"deliver-twice", "COUNT", "send publishes to subscribers twice", count(func(f *Faults) *Count { return &f.DeliverTwice })},
	{"deliver-swapped", "COUNT", "send publishes to subscribers after the next one", count(func(f *Faults) *Count { return &f.DeliverSwapped })},
	{"deliver-lost", "COUNT", "lose publishes to subscribers", count(func(f *Faults) *Count { return &f.DeliverLost })},
	{"shadow-code", "STATUS[:COUNT]", "reject shadow requests (409, 429, 500, ...)", shadowCode},
	{"shadow-lost", "COUNT", "lose shadow requests", count(func(f *Faults) *Count { return &f.ShadowLost })},
	{"shadow-answer-lost", "COUNT", "apply shadow requests and lose the answers", count(func(f *Faults) *Count { return &f.ShadowAnswerLost })},
	{"shadow-delay", "DURATION", "answer shadow requests late", duration(func(f *Faults) *time.Duration { return &f.ShadowDelay })},
	{"shadow-reorder", "on|off", "publish documents and delta before accepted", onOff(func(f *Faults) *bool { return &f.ShadowReorder })},
	{"clock", "DURATION", "move the cloud's clock", duration(func(f *Faults) *time.Duration { return &f.ClockOffset })},
}

type fault struct {
	name, kind, does string
	set              func(f *Faults, value string) error
}

// FaultName is a fault as SetFault takes it.
type FaultName struct{ Name, Value, Does string }

// FaultNames lists what SetFault knows.
func FaultNames() (names []FaultName) {
	for _, f := range faultTable {
		names = append(names, FaultName{f.name, f.kind, f.does})
	}
	return names
}

// SetFault sets a fault by its name in FaultNames; "off" ends any, "on" sets
// those that need no more (a COUNT becomes Always). "all" is the name that
// "off" heals everything with.
func (c *Cloud) SetFault(name, value string) error {
	if name == "all" && value == "off" {
		c.Heal()
		return nil
	}
	i := slices.IndexFunc(faultTable, func(f fault) bool { return f.name == name })
	if i < 0 {
		return fmt.Errorf("there is no fault %q", name)
	}
	var err error
	c.Change(func(f *Faults) { err = faultTable[i].set(f, value) })
	if err != nil {
		return fmt.Errorf("fault %s wants %s or off: %w", name, faultTable[i].kind, err)
	}
	return nil
}

func onOff(field func(*Faults) *bool) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		if value != "on" && value != "off" {
			return fmt.Errorf("got %q", value)
		}
		*field(f) = value == "on"
		return nil
	}
}

func parseCount(value string) (Count, error) {
	switch value {
	case "on":
		return Always, nil
	case "off":
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err == nil && n < 0 {
		err = fmt.Errorf("%d is negative", n)
	}
	return Count(n), err
}

func count(field func(*Faults) *Count) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		n, err := parseCount(value)
		if err == nil {
			*field(f) = n
		}
		return err
	}
}

func number(field func(*Faults) *int) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		n, err := 0, error(nil)
		if value != "off" {
			n, err = strconv.Atoi(value)
		}
		if err == nil {
			*field(f) = max(n, 0)
		}
		return err
	}
}

func duration(field func(*Faults) *time.Duration) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		d, err := time.Duration(0), error(nil)
		if value != "off" {
			d, err = time.ParseDuration(value)
		}
		if err == nil {
			*field(f) = d
		}
		return err
	}
}

// parseCode reads CODE or CODE:COUNT; a code alone counts for ever.
func parseCode(value string, bits int) (code uint64, n Count, err error) {
	if value == "off" {
		return 0, 0, nil
	}
	text, times, counted := strings.Cut(value, ":")
	if code, err = strconv.ParseUint(text, 0, bits); err != nil {
		return 0, 0, err
	}
	n = Always
	if counted {
		n, err = parseCount(times)
	}
	return code, n, err
}

func codeCount(fields func(*Faults) (*byte, *Count)) func(*Faults, string) error {
	return func(f *Faults, value string) error {
		code, n, err := parseCode(value, 8)
		if err == nil {
			c, times := fields(f)
			*c, *times = byte(code), n
		}
		return err
	}
}

func shadowCode(f *Faults, value string) error {
	code, n, err := parseCode(value, 10)
	if err == nil && code != 0 && (code < 400 || code > 599) {
		err = fmt.Errorf("%d is no status of an error", code)
	}
	if err == nil {
		f.ShadowCode, f.ShadowCount = int(code), n
	}
	return err
}

func throttle(f *Faults, value string) error {
	switch value {
	case "on":
		f.PubackCode, f.PubackCount = codeQuota, Always
	case "off":
		f.PubackCode, f.PubackCount = 0, 0
	default:
		return fmt.Errorf("got %q", value)
	}
	return nil
}

func disconnectAfter(f *Faults, value string) error {
	code, n, err := parseCode(value, 8)
	if err == nil && code != 0 && n <= 0 {
		err = fmt.Errorf("%q says no number of publishes", value)
	}
	if err == nil {
		f.DisconnectCode, f.DisconnectAfter = byte(code), int(n)
	}
	return err
}

// poison adds a poison; off takes all away.
func poison(f *Faults, value string) error {
	if value == "off" {
		f.Poison = nil
		return nil
	}
	filter, text, _ := strings.Cut(value, "=")
	if fault := filterFault(filter); filter != "" && fault != "" {
		return fmt.Errorf("%s", fault)
	}
	f.Poison = append(slices.Clone(f.Poison), Poison{filter, text})
	return nil
}

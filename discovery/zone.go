package discovery

import (
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/dns/dnsmessage"
)

// The service types that are announced, and the list of all types (RFC 6763,
// 9).
const (
	discoveryService = "_greengrass-discovery._tcp.local."
	mqttService      = "_secure-mqtt._tcp.local."
	allServices      = "_services._dns-sd._udp.local."
)

// Times to live of records, in seconds: those that name a host, and others (RFC
// 6762, 10).
const (
	hostTTL  = 120
	otherTTL = 75 * 60
)

// cacheFlush marks a record of which there is no other owner (RFC 6762, 10.2).
// In a question the same bit asks for an answer by unicast (5.4).
const cacheFlush = dnsmessage.Class(1 << 15)

// maxLabel is the longest label of a name, in bytes (RFC 1035, 2.3.4).
const maxLabel = 63

// announcement is what does not depend on the network: who we are.
type announcement struct {
	group string
	core  string // thing name, or an ARN that ends in it
}

// service is one service type and the port where it is.
type service struct {
	kind string // discoveryService or mqttService
	port uint16
}

// HostName is the name under which DNS-SD makes the core known, without the
// last dot: the server certificate has to carry it, as a client that came by it
// checks it. It is the core's own and not that of the machine, for there are
// many raspberrypi.local.
func HostName(core string) string {
	if i := strings.LastIndexByte(core, '/'); i >= 0 {
		core = core[i+1:]
	}
	host := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, core)
	return strings.TrimRight(label("greengate-"+host), "-") + ".local"
}

// label returns name as one label: no dot, no control character, no more than
// 63 bytes.
func label(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '.' || r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '-'
		}
		return r
	}, name)
	for len(name) > maxLabel {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	return name
}

// records returns all there is to say: the services, with addrs as the
// addresses of the host.
func (a announcement) records(services []service, addrs []netip.Addr) []dnsmessage.Resource {
	host := dnsmessage.MustNewName(HostName(a.core) + ".")
	thing := a.core[strings.LastIndexByte(a.core, '/')+1:]
	var out []dnsmessage.Resource
	add := func(name dnsmessage.Name, class dnsmessage.Class, ttl uint32, body dnsmessage.ResourceBody) {
		out = append(out, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Type: typeOf(body), Class: class, TTL: ttl}, Body: body})
	}
	const shared, unique = dnsmessage.ClassINET, dnsmessage.ClassINET | cacheFlush
	for _, s := range services {
		kind := dnsmessage.MustNewName(s.kind)
		instance := dnsmessage.MustNewName(label(a.group) + "." + s.kind)
		add(dnsmessage.MustNewName(allServices), shared, otherTTL, &dnsmessage.PTRResource{PTR: kind})
		add(kind, shared, otherTTL, &dnsmessage.PTRResource{PTR: instance})
		add(instance, unique, hostTTL, &dnsmessage.SRVResource{Port: s.port, Target: host})
		add(instance, unique, otherTTL, &dnsmessage.TXTResource{TXT: []string{text("group", a.group), text("core", thing)}})
	}
	for _, addr := range addrs {
		if addr.Is4() {
			add(host, unique, hostTTL, &dnsmessage.AResource{A: addr.As4()})
		} else {
			add(host, unique, hostTTL, &dnsmessage.AAAAResource{AAAA: addr.As16()})
		}
	}
	return out
}

// text is one string of a TXT record, of 255 bytes at most (RFC 6763, 6.1).
func text(key, value string) string {
	s := key + "=" + value
	return s[:min(len(s), 255)]
}

func typeOf(body dnsmessage.ResourceBody) dnsmessage.Type {
	switch body.(type) {
	case *dnsmessage.PTRResource:
		return dnsmessage.TypePTR
	case *dnsmessage.SRVResource:
		return dnsmessage.TypeSRV
	case *dnsmessage.TXTResource:
		return dnsmessage.TypeTXT
	case *dnsmessage.AAAAResource:
		return dnsmessage.TypeAAAA
	default:
		return dnsmessage.TypeA
	}
}

// lookup returns the records that answer the questions, less those PTRs that
// the asker already knows (RFC 6762, 7.1), and the records that it will ask for
// next (RFC 6763, 12).
func lookup(records []dnsmessage.Resource, questions []dnsmessage.Question, known []dnsmessage.Resource) (answers, more []dnsmessage.Resource) {
	taken := make([]bool, len(records))
	for i, r := range records {
		taken[i] = slices.ContainsFunc(questions, func(q dnsmessage.Question) bool { return asks(q, r) }) && !knows(known, r)
		if taken[i] {
			answers = append(answers, r)
		}
	}
	// What an answer refers to may refer further: service -> instance -> host.
	follow := slices.Clone(answers)
	for len(follow) > 0 {
		name := target(follow[0])
		follow = follow[1:]
		for i, r := range records {
			if !taken[i] && name != "" && strings.EqualFold(r.Header.Name.String(), name) && r.Header.Type != dnsmessage.TypePTR {
				taken[i] = true
				more = append(more, r)
				follow = append(follow, r)
			}
		}
	}
	return answers, more
}

// asks says whether r answers q. Names are compared without case (RFC 6762,
// 16).
func asks(q dnsmessage.Question, r dnsmessage.Resource) bool {
	class := q.Class &^ cacheFlush
	return strings.EqualFold(q.Name.String(), r.Header.Name.String()) &&
		(q.Type == r.Header.Type || q.Type == dnsmessage.TypeALL) &&
		(class == dnsmessage.ClassINET || class == dnsmessage.ClassANY)
}

// knows says whether r is a PTR that stands among the known answers with at
// least half of its life left.
func knows(known []dnsmessage.Resource, r dnsmessage.Resource) bool {
	return r.Header.Type == dnsmessage.TypePTR && slices.ContainsFunc(known, func(k dnsmessage.Resource) bool {
		return k.Header.Type == dnsmessage.TypePTR && k.Header.TTL >= r.Header.TTL/2 &&
			strings.EqualFold(k.Header.Name.String(), r.Header.Name.String()) && strings.EqualFold(target(k), target(r))
	})
}

// target returns the name that a record refers to.
func target(r dnsmessage.Resource) string {
	switch body := r.Body.(type) {
	case *dnsmessage.PTRResource:
		return body.PTR.String()
	case *dnsmessage.SRVResource:
		return body.Target.String()
	}
	return ""
}

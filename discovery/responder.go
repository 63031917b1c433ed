package discovery

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// legacyTTL is the longest life of a record in an answer to a plain DNS
// resolver, in seconds (RFC 6762, 6.7).
const legacyTTL = 10

// quiet is the time in which a record is multicast once at most (RFC 6762, 6).
const quiet = time.Second

// maxPacket is the largest packet of multicast DNS (RFC 6762, 17).
const maxPacket = 9000

// responder makes the records known on one interface, over one IP version, and
// answers questions about them. It is the part of RFC 6762 that an announcement
// needs: it does not probe, since its names are made of the group and the core,
// which are one of a kind.
type responder struct {
	conn    *net.UDPConn
	group   netip.AddrPort
	records []dnsmessage.Resource
	told    map[int]time.Time // index of a record -> when it was last multicast as an answer; serve's own
}

// run announces, answers until ctx ends, and takes the announcement back. It
// closes the socket. An error is that of a socket that hears nothing any more.
func (r *responder) run(ctx context.Context) error {
	defer r.conn.Close()
	deaf := make(chan error, 1)
	go func() { deaf <- r.serve() }()

	r.announce(nil)
	again := time.NewTimer(quiet) // twice, as packets get lost (RFC 6762, 8.3)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			r.announce(nil)
		case err := <-deaf:
			return err
		case <-ctx.Done():
			gone := uint32(0)
			r.announce(&gone) // (RFC 6762, 10.1)
			r.conn.Close()
			<-deaf
			return nil
		}
	}
}

// announce multicasts all records, with ttl instead of their own if there is
// one. It is told to nobody in particular, so an error helps nobody: who missed
// it asks.
func (r *responder) announce(ttl *uint32) {
	all := make([]dnsmessage.Resource, len(r.records))
	copy(all, r.records)
	for i := range all {
		if ttl != nil {
			all[i].Header.TTL = *ttl
		}
	}
	msg := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}, Answers: all}
	if packet, err := msg.Pack(); err == nil {
		r.conn.WriteToUDPAddrPort(packet, r.group)
	}
}

// serve answers until the socket is closed.
func (r *responder) serve() error {
	r.told = make(map[int]time.Time)
	buf := make([]byte, maxPacket)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if packet, to := r.reply(buf[:n], from, time.Now()); packet != nil {
			r.conn.WriteToUDPAddrPort(packet, to)
		}
	}
}

// reply returns the answer to a packet and where it goes, or nil when there is
// nothing to say.
func (r *responder) reply(packet []byte, from netip.AddrPort, now time.Time) (answer []byte, to netip.AddrPort) {
	var p dnsmessage.Parser
	header, err := p.Start(packet)
	if err != nil || header.Response || header.OpCode != 0 || header.RCode != 0 {
		return nil, to // (RFC 6762, 18.3, 18.11)
	}
	questions, err := p.AllQuestions()
	if err != nil || len(questions) == 0 {
		return nil, to
	}
	// A list of known answers that cannot be read costs one needless answer.
	known, _ := p.AllAnswers()

	answers, more := lookup(r.records, questions, known)
	msg := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}}
	switch {
	case from.Port() != r.group.Port(): // a plain DNS resolver (RFC 6762, 6.7)
		to = from
		msg.ID, msg.Questions = header.ID, questions
		answers, more = forLegacy(answers), forLegacy(more)
	case wantUnicast(questions):
		to = from
	default:
		to = r.group
		answers = r.notYetTold(answers, now)
	}
	if len(answers) == 0 {
		return nil, to
	}
	msg.Answers, msg.Additionals = answers, more
	answer, err = msg.Pack()
	if err != nil {
		return nil, to
	}
	return answer, to
}

// wantUnicast says whether all questions ask for an answer by unicast (RFC
// 6762, 5.4).
func wantUnicast(questions []dnsmessage.Question) bool {
	for _, q := range questions {
		if q.Class&cacheFlush == 0 {
			return false
		}
	}
	return true
}

// forLegacy returns records as a resolver understands them that knows only
// plain DNS: no flush bit, a short life.
func forLegacy(records []dnsmessage.Resource) []dnsmessage.Resource {
	out := make([]dnsmessage.Resource, len(records))
	for i, r := range records {
		r.Header.Class &^= cacheFlush
		r.Header.TTL = min(r.Header.TTL, legacyTTL)
		out[i] = r
	}
	return out
}

// notYetTold leaves out the answers that were multicast within the last second:
// everybody has heard them.
func (r *responder) notYetTold(answers []dnsmessage.Resource, now time.Time) []dnsmessage.Resource {
	var out []dnsmessage.Resource
	for _, a := range answers {
		for i, own := range r.records {
			if own != a {
				continue
			}
			if last, ok := r.told[i]; !ok || now.Sub(last) >= quiet {
				r.told[i] = now
				out = append(out, a)
			}
		}
	}
	return out
}

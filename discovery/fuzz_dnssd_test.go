package discovery

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// FuzzQuestion has somebody on the network send any packet to the responder. What it says,
// if anything, is a DNS answer that fits into a packet and holds its own records alone; it
// goes to the asker or to all; and it answers no answers, which would go on for ever.
func FuzzQuestion(f *testing.F) {
	for _, q := range []dnsmessage.Question{
		question(allServices, dnsmessage.TypePTR), question(discoveryService, dnsmessage.TypePTR), question("greengate-home-core.local.", dnsmessage.TypeALL),
		question("home v1-2._secure-mqtt._tcp.local.", dnsmessage.TypeSRV),
	} {
		m := dnsmessage.Message{Questions: []dnsmessage.Question{q}}
		for _, change := range []func(){
			func() {}, func() { m.Questions[0].Class |= cacheFlush }, func() { m.Questions = append(m.Questions, m.Questions...) },
			func() { m.Answers = testWho.records(testServices, testAddrs) }, func() { m.Header.Response = true },
		} {
			change()
			packet, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packet, true)
			f.Add(packet, false)
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, plain bool) {
		if len(packet) > maxPacket {
			return // which the socket cuts
		}
		records := testWho.records(testServices, testAddrs)
		from := netip.MustParseAddrPort("192.0.2.9:5353")
		if plain {
			from = netip.MustParseAddrPort("192.0.2.9:40000")
		}
		r := &responder{group: mdnsIPv4, records: records, told: map[int]time.Time{}}
		now := time.Now()
		answer, to := r.reply(packet, from, now)
		if answer == nil {
			return
		}
		var asked, told dnsmessage.Message
		if err := told.Unpack(answer); err != nil || len(answer) > 1<<16-1 || !told.Response || to != from && (plain || to != r.group) {
			t.Fatalf("%v: %d bytes to %v: %+v", err, len(answer), to, told)
		}
		if err := asked.Unpack(packet); err == nil && asked.Response {
			t.Error("an answer was answered")
		}
		own := brief(records)
		for _, line := range append(brief(told.Answers), brief(told.Additionals)...) {
			if !slices.Contains(own, line) {
				t.Errorf("it says %s", line)
			}
		}
		if again, to := r.reply(packet, from, now); again != nil && to == r.group {
			t.Error("all are told again at once")
		}
	})
}

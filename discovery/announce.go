package discovery

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// lookAgain is the time between two looks at the interfaces: so long may a new
// address stay unannounced.
const lookAgain = 10 * time.Second

// network is one interface with the addresses that other machines on it can
// use.
type network struct {
	ifi   net.Interface
	addrs []netip.Addr
}

// announcer keeps one responder per interface and IP version as long as the
// listeners can be reached there.
type announcer struct {
	who     announcement
	log     *slog.Logger
	enabled atomic.Bool
	wake    chan struct{} // of capacity 1: many changes, one look

	networks func() ([]network, error)
	start    func(ctx context.Context, n network, records []dnsmessage.Resource) (ended <-chan struct{}, err error)

	running map[string]*announced // by interface name; run's own
	failing map[string]bool       // interfaces on which the last attempt failed; run's own
}

// announced is what is made known on one interface.
type announced struct {
	network  network
	services []service
	stop     context.CancelFunc
	ended    <-chan struct{}
}

func newAnnouncer(who announcement, log *slog.Logger) *announcer {
	a := &announcer{
		who: who, log: log, wake: make(chan struct{}, 1), networks: multicastNetworks,
		running: make(map[string]*announced), failing: make(map[string]bool),
	}
	a.start = a.respond
	return a
}

// enable switches the announcement on or off, at any time.
func (a *announcer) enable(on bool) {
	if a.enabled.Swap(on) != on {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// run follows the interfaces until ctx ends, and then takes back what is
// announced. Whatever fails is tried again; none of it is worth stopping the
// gateway for.
func (a *announcer) run(ctx context.Context, discovery []net.Addr, mqtt func() []net.Addr) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		var found []network
		if a.enabled.Load() {
			var err error
			if found, err = a.networks(); err != nil {
				a.fail("", err)
			} else {
				delete(a.failing, "")
			}
		}
		a.follow(ctx, found, discovery, mqtt())
		select {
		case <-tick.C:
		case <-a.wake:
		case <-ctx.Done():
			a.follow(ctx, nil, nil, nil)
			return
		}
	}
}

// follow makes what is announced agree with the interfaces that there are.
func (a *announcer) follow(ctx context.Context, found []network, discovery, mqtt []net.Addr) {
	wanted := make(map[string]*announced)
	for _, n := range found {
		if services, addrs := reachable(n.addrs, discovery, mqtt); len(services) > 0 {
			wanted[n.ifi.Name] = &announced{network: network{n.ifi, addrs}, services: services}
		}
	}
	for name, now := range a.running {
		if next := wanted[name]; next == nil || !now.same(next) || now.over() {
			now.stop()
			<-now.ended
			delete(a.running, name)
		}
	}
	for name, next := range wanted {
		if a.running[name] != nil {
			continue
		}
		var its context.Context
		its, next.stop = context.WithCancel(ctx)
		var err error
		if next.ended, err = a.start(its, next.network, a.who.records(next.services, next.network.addrs)); err != nil {
			next.stop()
			a.fail(name, err)
			continue
		}
		delete(a.failing, name)
		a.running[name] = next
		a.log.Info("announces the gateway by DNS-SD", "interface", name, "host", HostName(a.who.core), "addresses", next.network.addrs)
	}
}

// fail tells of a failure once, until it works again.
func (a *announcer) fail(name string, err error) {
	if !a.failing[name] {
		a.failing[name] = true
		a.log.Warn("cannot announce the gateway by DNS-SD, will try again", "interface", name, "err", err)
	}
}

func (n *announced) same(o *announced) bool {
	return n.network.ifi.Index == o.network.ifi.Index && slices.Equal(n.network.addrs, o.network.addrs) && slices.Equal(n.services, o.services)
}

func (n *announced) over() bool {
	select {
	case <-n.ended:
		return true
	default:
		return false
	}
}

// respond runs the responders of one interface, until ctx ends or one of them
// has failed. It is an error when there is none.
func (a *announcer) respond(ctx context.Context, n network, records []dnsmessage.Resource) (<-chan struct{}, error) {
	var responders []*responder
	var failed error
	for _, group := range []netip.AddrPort{mdnsIPv4, mdnsIPv6} {
		// The other IP version is no loss where the interface has it not.
		if !slices.ContainsFunc(n.addrs, func(a netip.Addr) bool { return a.Is4() == group.Addr().Is4() }) {
			continue
		}
		conn, err := joinGroup(n.ifi, group)
		if err != nil {
			failed = err
			continue
		}
		responders = append(responders, &responder{conn: conn, group: group, records: records})
	}
	if len(responders) == 0 {
		return nil, failed
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	var all sync.WaitGroup
	for _, r := range responders {
		all.Go(func() {
			defer stop() // one that went deaf ends both: the next look starts them again
			if err := r.run(ctx); err != nil {
				a.log.Warn("lost a DNS-SD socket, will open it again", "interface", n.ifi.Name, "err", err)
			}
		})
	}
	go func() {
		all.Wait()
		stop()
		close(ended)
	}()
	return ended, nil
}

// reachable returns the services that can be reached at the addresses of an
// interface, and at which of them. All services share one host name, so the
// addresses are those where the first one is, and another that is not at all of
// them is left out.
func reachable(candidates []netip.Addr, discovery, mqtt []net.Addr) (services []service, addrs []netip.Addr) {
	for _, s := range []struct {
		kind      string
		listeners []net.Addr
	}{{discoveryService, discovery}, {mqttService, mqtt}} {
		port, at := listening(candidates, s.listeners)
		missing := slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !slices.Contains(at, a) })
		if len(at) == 0 || missing {
			continue
		}
		if addrs == nil {
			addrs = at
		}
		services = append(services, service{kind: s.kind, port: port})
	}
	return services, addrs
}

// listening returns the port of the first listener that is at any of the
// candidates, and at which it is.
func listening(candidates []netip.Addr, listeners []net.Addr) (port uint16, at []netip.Addr) {
	for _, l := range listeners {
		tcp, ok := l.(*net.TCPAddr)
		if !ok {
			continue
		}
		bound := tcp.AddrPort().Addr().Unmap().WithZone("")
		for _, c := range candidates {
			if c == bound || bound.IsUnspecified() || !bound.IsValid() {
				at = append(at, c)
			}
		}
		if len(at) > 0 {
			return uint16(tcp.Port), at
		}
	}
	return 0, nil
}

// multicastNetworks returns the interfaces that are up and can multicast;
// loopback is none of them.
func multicastNetworks() ([]network, error) {
	ifis, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var out []network
	for _, ifi := range ifis {
		const needed = net.FlagUp | net.FlagRunning | net.FlagMulticast
		if ifi.Flags&needed == needed && ifi.Flags&net.FlagLoopback == 0 {
			if addrs := routable(ifi); len(addrs) > 0 {
				out = append(out, network{ifi, addrs})
			}
		}
	}
	return out, nil
}

package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// airwaves stands for the interfaces of a machine: what is there, what is
// announced, what fails.
type airwaves struct {
	mu        sync.Mutex
	networks  []network
	announced map[string]string // interface -> the addresses told there
	deafen    map[string]context.CancelFunc
	broken    error
	log       strings.Builder
}

func (w *airwaves) look() ([]network, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.networks), nil
}

func (w *airwaves) start(ctx context.Context, n network, records []dnsmessage.Resource) (<-chan struct{}, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return nil, w.broken
	}
	ctx, w.deafen[n.ifi.Name] = context.WithCancel(ctx)
	w.announced[n.ifi.Name] = fmt.Sprint(n.addrs)
	ended := make(chan struct{})
	go func() {
		<-ctx.Done()
		w.mu.Lock()
		delete(w.announced, n.ifi.Name)
		w.mu.Unlock()
		close(ended)
	}()
	return ended, nil
}

func (w *airwaves) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *airwaves) now() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprint(w.announced)
}

func TestAnnouncerFollowsTheInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eth := network{net.Interface{Name: "eth0", Index: 2}, []netip.Addr{netip.MustParseAddr("192.0.2.5")}}
		wlan := network{net.Interface{Name: "wlan0", Index: 3}, []netip.Addr{netip.MustParseAddr("198.51.100.5")}}
		w := &airwaves{networks: []network{eth}, announced: map[string]string{}, deafen: map[string]context.CancelFunc{}}
		a := newAnnouncer(testWho, slog.New(slog.NewTextHandler(&w.log, nil)))
		a.networks, a.start = w.look, w.start
		a.enable(true)
		everywhere := []net.Addr{&net.TCPAddr{IP: net.IPv6unspecified, Port: 8443}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { a.run(ctx, everywhere, func() []net.Addr { return everywhere }); close(done) }()

		expect := func(when, want string) {
			t.Helper()
			synctest.Wait()
			if got := w.now(); got != want {
				t.Errorf("%s: announced %s, want %s", when, got, want)
			}
		}
		look := func() { <-time.After(lookAgain) }
		expect("at the start", "map[eth0:[192.0.2.5]]")

		w.change(func() { w.networks = []network{eth, wlan} })
		look()
		expect("with a second interface", "map[eth0:[192.0.2.5] wlan0:[198.51.100.5]]")

		moved := network{eth.ifi, []netip.Addr{netip.MustParseAddr("192.0.2.6")}}
		w.change(func() { w.networks = []network{moved} })
		look()
		expect("after a new address and a lost interface", "map[eth0:[192.0.2.6]]")

		w.change(func() { w.deafen["eth0"]() })
		expect("when a socket is lost", "map[]")
		look()
		expect("after the next look", "map[eth0:[192.0.2.6]]")

		w.change(func() { w.broken = errors.New("no multicast"); w.networks = []network{moved, wlan} })
		for range 3 {
			look()
		}
		expect("while nothing new can be started", "map[eth0:[192.0.2.6]]")
		if n := strings.Count(w.log.String(), "no multicast"); n != 1 {
			t.Errorf("the failure was told %d times", n)
		}
		w.change(func() { w.broken = nil })
		look()
		expect("when it works again", "map[eth0:[192.0.2.6] wlan0:[198.51.100.5]]")

		a.enable(false)
		expect("switched off, at once", "map[]")
		a.enable(true)
		expect("and on", "map[eth0:[192.0.2.6] wlan0:[198.51.100.5]]")
		cancel()
		<-done
		expect("at the end", "map[]")
	})
}

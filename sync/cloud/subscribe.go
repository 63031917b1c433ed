package cloud

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/core/message"
)

// errLeftovers ends a connection whose session is full of what an earlier run of
// the gateway subscribed to.
var errLeftovers = errors.New("the session in the cloud has too many old subscriptions: start a new one")

// subscribe tells the cloud the difference between what the session has and
// what is wanted, and with all set also what the session should have already.
// A filter that is refused is a fault and stops no other; an error ends the
// connection. It runs on Run's goroutine.
func (l *Link) subscribe(ctx context.Context, c *conn, all bool) error {
	want, faults := l.wanted()
	l.hears.Store(slices.ContainsFunc(want, func(s Subscription) bool { return strings.HasPrefix(s.Filter, "$aws/things/") }))
	var gone []string
	for filter := range l.subscribed {
		if !slices.ContainsFunc(want, func(s Subscription) bool { return s.Filter == filter }) {
			gone = append(gone, filter)
		}
	}
	slices.Sort(gone)
	for some := range slices.Chunk(gone, l.o.Limits.FiltersPerPacket) {
		if err := l.unsubscribe(ctx, c, some); err != nil {
			return err
		}
	}
	missing := slices.DeleteFunc(want, func(s Subscription) bool {
		qos, has := l.subscribed[s.Filter]
		return !all && has && qos == s.QoS
	})
	missing, denied := l.suspects.part(missing)
	faults = append(faults, denied...)
	for some := range slices.Chunk(missing, l.suspects.perPacket(l.o.Limits.FiltersPerPacket)) {
		refused, err := l.ask(ctx, c, some)
		if err != nil {
			if errors.Is(err, errClosed) && l.o.Version == MQTT311 {
				l.suspects.add(some)
			}
			return err
		}
		faults = append(faults, refused...)
	}
	for _, f := range faults {
		l.o.Log.Warn("Subscription not in force", "err", f)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble.filters = faults
	return nil
}

// wanted returns the subscriptions that AWS's limits allow, each filter once,
// and what is wrong with the rest.
func (l *Link) wanted() (want []Subscription, faults []string) {
	seen := make(map[string]bool)
	for _, s := range l.o.Subscriptions() {
		s.QoS = min(s.QoS, 1)
		switch n := strings.Count(s.Filter, "/"); {
		case seen[s.Filter]:
		case message.CheckFilter(s.Filter) != nil:
			faults = append(faults, fmt.Sprintf("the cloud is not asked for %q: %v", s.Filter, message.CheckFilter(s.Filter)))
		case n > l.o.Limits.Slashes || len(s.Filter) > l.o.Limits.Topic:
			faults = append(faults, fmt.Sprintf("the cloud is not asked for %.80q: AWS allows %d slashes and %d bytes, it has %d and %d",
				s.Filter, l.o.Limits.Slashes, l.o.Limits.Topic, n, len(s.Filter)))
		case len(want) == l.o.Limits.Subscriptions:
			faults = append(faults, fmt.Sprintf("the cloud is not asked for %q: AWS allows %d subscriptions, and there are that many before it", s.Filter, l.o.Limits.Subscriptions))
		default:
			want = append(want, s)
		}
		seen[s.Filter] = true
	}
	return want, faults
}

// ask subscribes to so many filters as go into one packet, and returns what the
// cloud refused.
func (l *Link) ask(ctx context.Context, c *conn, subs []Subscription) (refused []string, err error) {
	c.write(c.d.subscribe(controlID, subs))
	answer, err := c.answer(ctx)
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q and others: %w (does the policy of the core allow iot:Subscribe?)", subs[0].Filter, err)
	}
	ack, ok := answer.(suback)
	if !ok || ack.id != controlID || len(ack.codes) != len(subs) {
		return nil, fmt.Errorf("subscribe: the SUBACK of the cloud does not fit (%d filters, %.100s)", len(subs), fmt.Sprintf("%+v", answer))
	}
	for i, s := range subs {
		if ack.codes[i] < 0x80 {
			l.subscribed[s.Filter] = s.QoS
			continue
		}
		if ack.codes[i] == quotaExceeded && c.server.session {
			return nil, errLeftovers
		}
		delete(l.subscribed, s.Filter)
		refused = append(refused, fmt.Sprintf("the cloud refused the subscription %q: %s", s.Filter, explain(ack.codes[i], ack.reason)))
	}
	return refused, nil
}

func (l *Link) unsubscribe(ctx context.Context, c *conn, filters []string) error {
	c.write(c.d.unsubscribe(controlID, filters))
	answer, err := c.answer(ctx)
	if err != nil {
		return fmt.Errorf("unsubscribe from %q and others: %w", filters[0], err)
	}
	if ack, ok := answer.(unsuback); !ok || ack.id != controlID {
		return fmt.Errorf("unsubscribe: the UNSUBACK of the cloud does not fit (%.100s)", fmt.Sprintf("%+v", answer))
	}
	for _, filter := range filters {
		delete(l.subscribed, filter)
	}
	return nil
}

// answer waits for a SUBACK or UNSUBACK.
func (c *conn) answer(ctx context.Context) (any, error) {
	t := time.NewTimer(c.link.o.Timing.Answer)
	defer t.Stop()
	select {
	case a := <-c.answers:
		return a, nil
	case <-c.dead:
		return nil, c.cause
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
		return nil, fmt.Errorf("no answer came within %v", c.link.o.Timing.Answer)
	}
}

package main

import (
	"context"
	"fmt"
	"time"
)

// scenario is one thing that is measured. Each run starts a fresh server of each
// kind, in turns, since the machine is not the same from one minute to the next.
type scenario struct {
	letter  string // for -only
	name    string
	kinds   []kind // that can do it
	measure func(*bench, context.Context, kind) (sample, error)
	rows    []row
}

// sample is what one run of one server came to, by the name of the figure.
type sample map[string]float64

// row is one figure of a scenario in the table.
type row struct {
	what   string
	figure string
	goals  []goal
}

// goal bounds the median of greengate's figure, or its ratio to the median of
// another server's.
type goal struct {
	than  kind // "": the figure itself
	limit float64
	least bool // limit is the least that will do; otherwise the most
}

func atMost(limit float64, than kind) goal  { return goal{than: than, limit: limit} }
func atLeast(limit float64, than kind) goal { return goal{than: than, limit: limit, least: true} }

// The figures of a load.
const (
	cpuOfMessage = "cpu"
	rateOf       = "rate"
	p50          = "p50"
	p99          = "p99"
	apart        = "apart" // ns of a cache line from CPU to CPU and back, right after the load
	wrong        = "wrong" // messages lost, duplicated, out of order or not acknowledged
)

// lowRate is in messages a second: what a busy site has, not what a server can do.
const lowRate = 5_000

func scenarios() []scenario {
	var all []scenario
	for _, size := range []int{64, 1024} {
		for qos := range byte(2) {
			s := flatOut("A", fmt.Sprintf("10 pairs, %d B, QoS %d", size, qos), plant, pairsOf(size, qos))
			if qos == 0 {
				s.kinds = allKinds
			}
			all = append(all, s)
		}
	}
	for qos := range byte(2) {
		all = append(all, flatOut("B", fmt.Sprintf("1 to %d, QoS %d", fanOut, qos), plant, fanOutOf(qos)))
	}
	for qos := range byte(2) {
		all = append(all, flatOut("B", fmt.Sprintf("%d to 1, QoS %d", fanIn, qos), plant, fanInOf(qos)))
	}
	for qos := range byte(2) {
		all = append(all, atLowRate(fmt.Sprintf("10 pairs, 5,000 msg/s in all, QoS %d", qos), pairsOf(64, qos)))
	}
	return append(all, memoryScenario(), connectScenario(), stormScenario(), gateScenario())
}

// flatOut is a load as fast as the server can.
func flatOut(letter, name string, g group, l load) scenario {
	return scenario{
		letter: letter, name: name, kinds: brokers,
		measure: func(b *bench, ctx context.Context, k kind) (sample, error) {
			return b.load(ctx, k, g, l, b.flatOut)
		},
		rows: []row{
			{"CPU, µs a message", cpuOfMessage, []goal{atMost(0.1, mosquitto), atMost(0.08, mochi)}},
			{"messages a second", rateOf, []goal{atLeast(8, mosquitto), atLeast(8, mochi)}},
			{"from CPU to CPU and back, ns", apart, nil},
		},
	}
}

// atLowRate is a load at lowRate.
func atLowRate(name string, l load) scenario {
	l.rate = lowRate
	return scenario{
		letter: "C", name: name, kinds: brokers,
		measure: func(b *bench, ctx context.Context, k kind) (sample, error) {
			return b.load(ctx, k, plant, l, b.slow)
		},
		rows: []row{
			{"CPU, µs a message", cpuOfMessage, []goal{atMost(1, mosquitto)}},
			{"latency p50, µs", p50, []goal{atMost(1, mosquitto)}},
			{"latency p99, µs", p99, []goal{atMost(1, mosquitto)}},
			{"messages a second", rateOf, nil},
		},
	}
}

// gateScenario is what the length of the table costs: the same load with the rows
// that it needs, and with those of the plant.
func gateScenario() scenario {
	const ofFew, ofPlant, ratio = "few", "plant", "ratio"
	return scenario{
		letter: "F", name: "the gate, 10 pairs, 64 B, QoS 0", kinds: []kind{greengate},
		measure: func(b *bench, ctx context.Context, k kind) (sample, error) {
			short, err := b.load(ctx, k, few, pairsOf(64, 0), b.flatOut)
			if err != nil {
				return nil, err
			}
			long, err := b.load(ctx, k, plant, pairsOf(64, 0), b.flatOut)
			if err != nil {
				return nil, err
			}
			return sample{
				ofFew: short[cpuOfMessage], ofPlant: long[cpuOfMessage], ratio: long[cpuOfMessage] / short[cpuOfMessage],
				wrong: short[wrong] + long[wrong],
			}, nil
		},
		rows: []row{
			{"CPU, 10 rows, µs a message", ofFew, nil},
			{"CPU, 100,000 rows, µs a message", ofPlant, nil},
			{"100,000 rows against 10", ratio, []goal{atMost(1.1, "")}},
		},
	}
}

// load is one run of a load on a fresh server.
func (b *bench) load(ctx context.Context, k kind, g group, l load, t times) (sample, error) {
	s, err := b.programs.start(ctx, k, g)
	if err != nil {
		return nil, err
	}
	return measured(s, func() (sample, error) {
		t, err := l.put(ctx, s, b.programs.site, t)
		if err != nil {
			return nil, err
		}
		between, err := distance()
		if err != nil {
			return nil, err
		}
		figures := sample{cpuOfMessage: t.perMessage(), rateOf: t.perSecond(), apart: float64(between.Nanoseconds()), wrong: float64(t.wrong.sum())}
		if l.rate > 0 {
			us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
			figures[p50], figures[p99] = us(t.latency.quantile(0.5)), us(t.latency.quantile(0.99))
		}
		return figures, nil
	})
}

// measured ends s after what is done with it; a server that did not live until
// then was not measured.
func measured(s *server, do func() (sample, error)) (sample, error) {
	figures, err := do()
	if ended := s.stop(); err == nil {
		err = ended
	}
	return figures, err
}

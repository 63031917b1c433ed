package pi3_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gpio is where the BCM2837 of a Pi 3 has its GPIO registers.
const gpio = 0x3f200000

// probes look at the pins of the emulated board from outside, through QEMU's QMP
// socket. Several goroutines may use them.
type probes struct {
	mu   sync.Mutex // one question at a time
	conn net.Conn
	in   *json.Decoder
}

func openProbes(socket string) (*probes, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	p := &probes{conn: conn, in: json.NewDecoder(conn)}
	var greeting any
	err = p.in.Decode(&greeting)
	if err == nil {
		_, err = p.ask("qmp_capabilities", nil)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("greet QEMU: %w", err)
	}
	return p, nil
}

// ask carries out a command of QMP.
func (p *probes) ask(command string, arguments map[string]any) (json.RawMessage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	question := map[string]any{"execute": command}
	if arguments != nil {
		question["arguments"] = arguments
	}
	if err := json.NewEncoder(p.conn).Encode(question); err != nil {
		return nil, err
	}
	for { // events come between
		var answer struct {
			Return json.RawMessage
			Error  *struct{ Desc string }
		}
		switch err := p.in.Decode(&answer); {
		case err != nil:
			return nil, err
		case answer.Error != nil:
			return nil, errors.New(answer.Error.Desc)
		case answer.Return != nil:
			return answer.Return, nil
		}
	}
}

// register reads one of the GPIO registers.
func (p *probes) register(offset uint64) (uint32, error) {
	said, err := p.ask("human-monitor-command", map[string]any{"command-line": fmt.Sprintf("xp /1wx %#x", gpio+offset)})
	if err != nil {
		return 0, err
	}
	var text string
	if err := json.Unmarshal(said, &text); err != nil {
		return 0, err
	}
	_, value, _ := strings.Cut(text, ": ")
	n, err := strconv.ParseUint(strings.TrimSpace(value), 0, 32)
	return uint32(n), err
}

// levels returns GPLEV0: bit n is what GPIOn carries.
func (p *probes) levels() (uint32, error) { return p.register(0x34) }

// function returns what GPIOn is, by its GPFSEL register.
func (p *probes) function(n uint64) (string, error) {
	bits, err := p.register(4 * (n / 10))
	return [...]string{"in", "out", "alt5", "alt4", "alt0", "alt1", "alt2", "alt3"}[bits>>(3*(n%10))&7], err
}

// watch looks at the pins of mask until stop is closed, and returns each state that it
// has seen, once.
func (p *probes) watch(mask uint32, stop <-chan struct{}) ([]uint32, error) {
	var seen []uint32
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		now, err := p.levels()
		if err != nil {
			return seen, err
		}
		if now &= mask; len(seen) == 0 || seen[len(seen)-1] != now {
			seen = append(seen, now)
		}
		select {
		case <-stop:
			return seen, nil
		case <-again.C:
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"greengate/core/admin/client"
	"greengate/core/sqlite"
	"greengate/gpio"
)

const testPins = `  - {from: "gpio:bell", topic: home/bell, to: lamp}
  - {from: switch, shadow: lamp, may: [watch]}
gpio:
  driver: sim
  leds:
    - {name: red, pin: GPIO17, thing: lamp, key: property, on: R}
  buttons:
    - {name: bell, pin: GPIO22, topic: home/bell}
`

// command runs a command as a person does, with a text on its stdin.
func (h *house) command(stdin string, args ...string) (code int, stdout, stderr string) {
	h.t.Helper()
	var out, err bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &err}
	code = a.main(h.t.Context(), append(args, "--config", h.file()))
	return code, out.String(), err.String()
}

// receive reads one QoS 0 message.
func (d *thing) receive() (topic, payload string) {
	d.t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(d, head); err != nil {
		d.t.Fatal(err)
	}
	size := int(head[1] & 0x7F)
	if head[1] >= 0x80 {
		if _, err := io.ReadFull(d, head[1:]); err != nil {
			d.t.Fatal(err)
		}
		size += int(head[1]) << 7
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(d, body); err != nil || head[0] != 0x30 {
		d.t.Fatalf("got a packet %x, %v, want a message", head[0], err)
	}
	n := 2 + int(body[1])
	return string(body[2:n]), string(body[n:])
}

func TestPressedButtonIsHeardAlongItsRow(t *testing.T) {
	h := newHouse(t, testPins)
	lamp := h.connect("lamp")
	lamp.send(0x82, []byte{0, 1}, text("home/bell"), []byte{0})
	lamp.expect(0x90, []byte{0, 1, 0})

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var seen []client.Event
	err := h.control.Watch(ctx, "home/bell", func() {
		if code, out, err := h.command("", "gpio", "press", "bell", "--hold", "1ms"); code != exitDone {
			t.Errorf("press: exit code %d, %s%s", code, out, err)
			cancel()
		}
	}, func(e client.Event) {
		if seen = append(seen, e); len(seen) == 2 {
			cancel()
		}
	})
	if err != nil || len(seen) != 2 {
		t.Fatalf("watched %+v, %v", seen, err)
	}
	for i, pressed := range []string{"true", "false"} {
		if e := seen[i]; e.Verdict != "delivered" || e.From != "gpio:bell" || e.To != "lamp" {
			t.Errorf("watched %+v", e)
		}
		topic, payload := lamp.receive()
		want := regexp.MustCompile(`^\{"name":"bell","pressed":` + pressed + `,"event":"(press|release)",.*"at":"[0-9T:.-]+Z",.*\}$`)
		if topic != "home/bell" || !want.MatchString(payload) {
			t.Errorf("the lamp heard %s on %s, want %s", payload, topic, want)
		}
	}
}

// What a command does to a shadow is told to the devices, in the service's order.
func TestShadowCommandIsPublished(t *testing.T) {
	h := newHouse(t, testPins)
	sw := h.connect("switch")
	sw.send(0x82, []byte{0, 1}, text("$aws/things/lamp/shadow/update/+"), []byte{0})
	sw.expect(0x90, []byte{0, 1, 0})
	if code, _, err := h.command(`{"state":{"desired":{"property":"R"}}}`, "shadow", "update", "lamp"); code != exitDone {
		t.Fatalf("update: exit code %d, %s", code, err)
	}
	for _, want := range []string{"delta", "documents"} { // accepted is not in the row
		if topic, payload := sw.receive(); topic != "$aws/things/lamp/shadow/update/"+want || !strings.Contains(payload, `"property":"R"`) {
			t.Errorf("the switch heard %s on %s, want the %s", payload, topic, want)
		}
	}
	// The LED has followed before the update was answered; the report comes next.
	if _, out, _ := h.command("", "gpio", "list"); !strings.Contains(out, " on ") {
		t.Errorf("the LED did not follow: %s", out)
	}
	if topic, payload := sw.receive(); !strings.HasSuffix(topic, "/documents") || !strings.Contains(payload, `"reported":{"property":"R"}`) {
		t.Errorf("the switch heard %s on %s, want the report", payload, topic)
	}
}

// What the daemon cannot help is not the fault of the one who asks.
func TestDamagedShadowIsAFailure(t *testing.T) {
	h := newHouse(t)
	if code, _, err := h.command("", "shadow", "update", "lamp", `{"state":{"desired":{"a":1}}}`); code != exitDone {
		t.Fatalf("update: exit code %d, %s", code, err)
	}
	const damage = "UPDATE shadows SET desired = '{'"
	if err := h.gateway.shadowDB.Update(t.Context(), func(tx *sqlite.Tx) error { return tx.Exec(damage) }); err != nil {
		t.Fatal(err)
	}
	// What the service remembers of the database it forgets when something is undone.
	undo := errors.New("undone")
	if err := h.gateway.shadowDB.Update(t.Context(), func(tx *sqlite.Tx) error { return errors.Join(tx.Exec(damage), undo) }); !errors.Is(err, undo) {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"shadow", "get", "lamp"},
		{"shadow", "update", "lamp", `{"state":{"desired":{"a":2}}}`},
	} {
		if code, out, err := h.command("", args...); code != exitFailed || out != "" || !strings.Contains(err, "(code 500); `greengate status` may tell why") {
			t.Errorf("%v: exit code %d, %s%s", args, code, out, err)
		}
	}
	// A name that was meant and is empty, in a script, is not the classic shadow.
	if code, out, err := h.command("", "shadow", "delete", "lamp", "--name", ""); code != exitInput || out != "" || !strings.Contains(err, "--name: the name of a shadow has 0 bytes") {
		t.Errorf("delete of no name: exit code %d, %s%s", code, out, err)
	}
	if code, out, err := h.command("", "shadow", "delete", "lamp"); code != exitDone {
		t.Errorf("delete: exit code %d, %s%s", code, out, err)
	}
}

func TestPinOfTheBoardIsNotPressed(t *testing.T) {
	bell := client.Pin{Name: "bell", Kind: "button", Mode: "ioctl-gpio"}
	err := new(gateway).pressPin(t.Context(), bell, url.Values{"hold": {"1ms"}})
	if err == nil || !strings.Contains(err.Error(), "somebody has to press it") || exitCodeOf(err) != exitInput {
		t.Errorf("got %v, exit code %d", err, exitCodeOf(err))
	}
}

func TestPinThatFailsIsAFailure(t *testing.T) {
	for err, want := range map[error]int{
		&gpio.Refusal{Reason: gpio.NoOutput}:   exitInput,
		&gpio.Refusal{Reason: gpio.PinFault}:   exitFailed,
		&gpio.Refusal{Reason: gpio.PinStopped}: exitFailed,
		errors.New("nobody watches the pins"):  exitFailed,
	} {
		if got := exitCodeOf(err); got != want {
			t.Errorf("%#v: exit code %d, want %d", err, got, want)
		}
	}
}

// exitCodeOf is the exit code of a pin command that the daemon ends with err.
func exitCodeOf(err error) int { return exitCode(failure{&client.Refusal{Code: pinCode(err)}}) }

// All numbers in metadata are times, also those of arrays.
// Lines that could not be printed are a failure, as with any other command.
func TestLogsThatCannotBePrinted(t *testing.T) {
	h := newHouse(t, "functions: [{name: f, command: [/bin/echo, hello], dir: "+t.TempDir()+", pinned: true}]\n")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// Until there is a line to print.
	_ = h.control.FunctionLogs(ctx, "f", 1, true, func(client.FunctionLine) { cancel() })
	for _, more := range [][]string{nil, {"--follow"}, {"--follow", "--json"}} {
		var complaint bytes.Buffer
		a := &app{stdout: failing{}, stderr: &complaint}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		code := a.main(ctx, append([]string{"function", "logs", "f", "--config", h.file()}, more...))
		if code != exitFailed || !strings.Contains(complaint.String(), "no space left on device") {
			t.Errorf("%v: exit code %d, %s", more, code, &complaint)
		}
	}
}

// failing is a disk that is full.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestNewestTime(t *testing.T) {
	for metadata, want := range map[string]int64{
		`{"desired":{"a":{"timestamp":5},"timestamp":{"timestamp":9}},"reported":{"b":[{"timestamp":7}]}}`: 9,
		`{"desired":{"b":[{"timestamp":1},{"timestamp":1700000000}]}}`:                                     1700000000,
		`{}`: 0, ``: 0,
	} {
		if got := newestTime(json.RawMessage(metadata)); got != want {
			t.Errorf("%s: got %d, want %d", metadata, got, want)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"greengate/configs"
	"greengate/gpio"
)

// patient is a doctor whose machine is a folder.
type patient struct {
	*doctor
	t *testing.T
}

func newPatient(t *testing.T) *patient {
	return &patient{&doctor{ctx: t.Context(), root: t.TempDir(), config: &configs.Config{Data: t.TempDir()}, diagnosis: diagnosis{Well: true}}, t}
}

func (p *patient) write(path, text string) {
	p.t.Helper()
	path = filepath.Join(p.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// disk makes the data folder lie on partition 2 of a card.
func (p *patient) disk(name string) {
	p.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(p.config.Data, &st); err != nil {
		p.t.Fatal(err)
	}
	p.write(name+"/"+name+"p2/partition", "2\n")
	link := filepath.Join(p.root, fmt.Sprintf("sys/dev/block/%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev))))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(p.root, name, name+"p2"), link); err != nil {
		p.t.Fatal(err)
	}
}

// says checks what was found, each as `state subject: start of the message`.
func (p *patient) says(want ...string) {
	p.t.Helper()
	var got []string
	for _, f := range p.Findings {
		got = append(got, f.State+" "+f.Subject+": "+f.Message)
		if f.State == wrong && f.Next == "" {
			p.t.Errorf("%s has no next step", f.Message)
		}
	}
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			p.t.Fatalf("found %q, want %q", got, want)
		}
	}
	if len(got) != len(want) {
		p.t.Errorf("found %q, want %q", got, want)
	}
}

func TestWearOfTheCard(t *testing.T) {
	for _, c := range []struct {
		life, eol, want string
	}{
		{"0x01 0x02\n", "0x01\n", "well card: mmcblk0: 10 to 20 % of its life is used"},
		{"0x09 0x01\n", "0x01\n", "note card: mmcblk0 nears its end (80 %"},
		{"0x01 0x01\n", "0x02\n", "note card: mmcblk0 nears its end"},
		{"0x0b 0x01\n", "0x01\n", "wrong card: mmcblk0 is worn out (life 0x0b 0x01"},
		{"0x01 0x01\n", "0x03\n", "wrong card: mmcblk0 is worn out"},
		{"", "", "note card: mmcblk0 does not say how worn it is"},
	} {
		p := newPatient(t)
		p.disk("mmcblk0")
		if c.life != "" {
			p.write("mmcblk0/device/life_time", c.life)
			p.write("mmcblk0/device/pre_eol_info", c.eol)
		}
		p.checkCard()
		p.says(c.want)
	}
}

func TestErrorsOfTheFileSystem(t *testing.T) {
	for count, want := range map[string]string{
		"0\n": "well file system: ext4 on sdap2 has had no errors",
		"3\n": "wrong file system: ext4 on sdap2 has had 3 errors",
	} {
		p := newPatient(t)
		p.disk("sda")
		p.write("sys/fs/ext4/sdap2/errors_count", count)
		p.checkCard()
		p.says(want)
	}
	p := newPatient(t) // without a device, as in a container
	p.checkCard()
	p.says()
}

func TestPinsNeedAChip(t *testing.T) {
	p := newPatient(t)
	p.checkPins()
	p.says()
	p.config.GPIO = &gpio.Config{Driver: "auto", LEDs: []gpio.Output{{Name: "red"}}}
	p.checkPins()
	p.says("wrong pins: this machine has no GPIO chip")
}

func TestKeysOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	p := newPatient(t)
	p.config.PKI.Dir = t.TempDir()
	if err := os.Chown(p.config.PKI.Dir, 4711, 4711); err != nil {
		t.Fatal(err)
	}
	p.checkRights()
	p.says("wrong rights: " + p.config.Data + " belongs to root and " + p.config.PKI.Dir + " to user 4711")
}

func TestPortInUse(t *testing.T) {
	h := newHouse(t)
	p := newPatient(t)
	p.config.Broker.Listen = []string{h.gateway.broker.Addrs()[0].String()}
	p.checkPorts()
	p.says("wrong ports: " + p.config.Broker.Listen[0] + " is in use by another program")
}

func TestNextStepOfAFault(t *testing.T) {
	for fault, want := range map[string]string{
		"the spool cannot write since 2026: database or disk is full; devices wait": makeRoom,
		"shadows: updates are rejected since 2026: database or disk is full":        makeRoom,
		"the disk has no room for the history of changes":                           makeRoom,
		"sessions are not, or not all, written to disk since 2026: disk I/O error":  "`greengate doctor` looks at the disk, and dmesg tells of its errors",
		"a stored shadow cannot be read; delete it, and it starts again":            "",
	} {
		if got := aboutDisk(fault); got != want {
			t.Errorf("about %q: %q, want %q", fault, got, want)
		}
	}
	for fault, want := range map[string]string{
		"not connected to the cloud since 2026: dial tcp: refused":    "greengate doctor",
		`the cloud refused the subscription "a/#": not authorized`:    "greengate cloud policy",
		`another client uses this gateway's identity "c_Core": so on`: "stop the other one",
	} {
		if got := aboutLink(fault); !strings.Contains(got, want) {
			t.Errorf("about %q: %q, want %q", fault, got, want)
		}
	}
}

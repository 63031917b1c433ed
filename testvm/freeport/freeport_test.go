package freeport

import (
	"net"
	"os"
	"os/exec"
	"testing"
)

// Neither in this process nor, by the reservation, in another.
func TestTakeGivesNoPortTwice(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		address, err := Take("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(address)
		if seen[port] {
			t.Fatalf("port %s was given twice", port)
		}
		seen[port] = true
		// What this process has may not be had by another.
		if l, err := net.Listen("unix", "@greengate-port-"+port); err == nil {
			_ = l.Close()
			t.Fatalf("port %s is not reserved", port)
		}
	}
}

// TestTakeFreesItsPorts sees that a port is free again when its process has ended.
func TestTakeFreesItsPorts(t *testing.T) {
	if os.Getenv("FREEPORT_CHILD") != "" {
		address, err := Take("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(address)
		_, _ = os.Stdout.WriteString(port + "\n")
		os.Exit(0)
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestTakeFreesItsPorts$")
	child.Env = append(os.Environ(), "FREEPORT_CHILD=1")
	out, err := child.Output()
	if err != nil || len(out) < 2 {
		t.Fatalf("the child: %v %q", err, out)
	}
	l, err := net.Listen("unix", "@greengate-port-"+string(out[:len(out)-1]))
	if err != nil {
		t.Fatalf("the port is still reserved: %v", err)
	}
	_ = l.Close()
}

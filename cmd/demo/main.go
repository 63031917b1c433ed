// Command demo shows greengate at work. It is the other side of the fence:
// devices of a customer, which know nothing of the gateway but its public
// interfaces (discovery over HTTPS, MQTT over mutual TLS, its command line), so
// it imports none of our packages, and nobody may import it.
//
//	demo site DIR     makes a demo site in DIR the first time, and runs cloud, gateway and devices
//	demo sensor       publishes a temperature every two seconds
//	demo display      shows what it hears
//	demo intruder     tries what it has no right to
//	demo switch       sets the colour of a traffic light
//	demo light        is that light
//	demo owner        changes the light from the cloud
//	demo leds         shows the LEDs of the gateway, which follow the same shadow
//
// Each device is a process of its own with one goroutine at work beside those
// of its MQTT client. All of them end at SIGINT, SIGTERM or SIGHUP.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// The processes that `site` starts are told by the kernel when the thread that
// started them ends, so this must be one that lasts as long as the program: the
// main thread, kept for the main goroutine.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	// The first signal begins the orderly end; a second one ends at once.
	context.AfterFunc(ctx, stop)
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil || errors.Is(err, context.Canceled):
	case errors.Is(err, flag.ErrHelp):
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("nothing to do (write demo site DIR, or demo sensor|display|intruder|switch|light|owner|leds)")
	}
	switch name, rest := args[0], args[1:]; name {
	case "site":
		return runSite(ctx, rest)
	case "sensor":
		return runDevice(ctx, rest, sensor)
	case "display":
		return runDevice(ctx, rest, display)
	case "intruder":
		return runDevice(ctx, rest, intruder)
	case "switch":
		return runDevice(ctx, rest, switcher)
	case "light":
		return runDevice(ctx, rest, light)
	case "owner":
		return owner(ctx, rest)
	case "leds":
		return leds(ctx, rest)
	default:
		return fmt.Errorf("%q is no demo (write site, sensor, display, intruder, switch, light, owner or leds)", name)
	}
}

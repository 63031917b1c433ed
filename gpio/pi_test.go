package gpio

import (
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"
)

// onPi is the variable of the environment that says that this is a Raspberry Pi 2 or 3
// to whose pins nothing is wired: the suite drives them. testvm/pi3 sets it on an
// emulated one, and a person may on his own.
const onPi = "GREENGATE_TEST_ON_PI"

// piKernel is the board of a Raspberry Pi's kernel. Its levels are read where the chip
// has them, past the kernel. Nobody is there to move its inputs.
type piKernel struct {
	found  *chips
	levels *uint32
}

// Where the chip has the levels of GPIO0 to GPIO31, GPLEV0: BCM2835 ARM Peripherals 6.1,
// at the address of the Pi 2 and 3.
const (
	piGPIO   = 0x3f200000
	piLevels = 0x34
)

func openPi(t *testing.T) piKernel {
	t.Helper()
	device, base := "/dev/gpiomem", int64(0) // Raspberry Pi OS gives the group gpio this
	if _, err := os.Stat(device); err != nil {
		device, base = "/dev/mem", piGPIO
	}
	f, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block, err := syscall.Mmap(int(f.Fd()), base, os.Getpagesize(), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatalf("map %s: %v (the kernel wants iomem=relaxed for that)", device, err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(block) })
	b, err := openBoard("auto", slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	found, ok := b.(*chips)
	if !ok {
		t.Fatalf("a Pi gets the board %v", b)
	}
	return piKernel{found, (*uint32)(unsafe.Pointer(&block[piLevels]))}
}

func (w piKernel) board() board { return w.found }

func (w piKernel) level(t *testing.T, line string) bool {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(line, "GPIO"))
	if err != nil || n > 31 {
		t.Fatalf("%s has no bit among the levels", line)
	}
	return atomic.LoadUint32(w.levels)>>n&1 == 1
}

func (w piKernel) drive(t *testing.T, line string, _ bool) {
	t.Fatalf("nobody moves %s of a Pi", line)
}

func (w piKernel) occupy(t *testing.T, line string) { occupyLine(t, line) }

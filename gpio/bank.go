package gpio

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
)

// Options is what a Bank is made of. A function that is nil does nothing.
type Options struct {
	Config Config
	// Publish sends what the pin of that name has to say. It must not wait for
	// the far end, and keeps the payload.
	Publish func(topic string, payload []byte, from string)
	// Report makes value the reported state of a top-level key of a thing's
	// classic shadow; null takes the key out. It is called by one goroutine of Run,
	// and may wait until ctx is cancelled. What it has an error for is a fault of the
	// pin and tried again (see Final); context.Canceled says that nobody takes reports
	// any more.
	Report func(ctx context.Context, thing, key string, value json.RawMessage) error
	// Changed is told every time an output takes a level, in order, and whether it
	// is on then. It is called while the output is locked: it must be quick and call
	// nothing of the Bank.
	Changed func(name string, on bool)
	Log     *slog.Logger
}

// Bank is the pins of the group file.
type Bank struct {
	o    Options
	log  *slog.Logger
	open func(driver string, log *slog.Logger) (board, error)

	// What New makes and nobody changes.
	actuators []*actuator
	inputs    []inputPin
	sensors   []*sensor
	byName    map[string]pin
	bindings  map[string][]*binding // by thing
	debtors   []debtor              // what reports to shadows
	interlock interlocks

	due  chan struct{} // wakes the goroutine that keeps contracts and mends
	owed chan struct{} // wakes the goroutine that reports

	mu     sync.Mutex
	board  board  // nil: not open
	buses  *buses // of the sensors; nil: not open
	closed bool
	cancel context.CancelFunc // of a Run that is on; nil: there is none
	ended  chan struct{}      // closed when that Run has let go of the pins
}

// pin is what every kind of pin can tell of itself.
type pin interface {
	state(mode string) State
	fault() (Fault, bool)
	// unreported is a fault of a pin that works: its shadow does not take its state.
	unreported() (Fault, bool)
}

// PinError says which pin of the group file cannot be had.
type PinError struct {
	Path    string // of the value in the file: gpio.leds[0].pin
	Pin     string // as the file writes it; empty when it is the driver
	Problem string
	Hint    string // what to write or do instead
}

func (e *PinError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%s: %s", e.Path, e.Problem)
	}
	return fmt.Sprintf("%s: %s (%s)", e.Path, e.Problem, e.Hint)
}

// PinErrors is every pin that cannot be had, in the order of the file.
type PinErrors []*PinError

func (e PinErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each of them.
func (e PinErrors) Unwrap() []error {
	list := make([]error, len(e))
	for i, one := range e {
		list[i] = one
	}
	return list
}

// New makes a Bank of a checked configuration. It touches no pin.
func New(o Options) *Bank {
	if o.Publish == nil {
		o.Publish = func(string, []byte, string) {}
	}
	if o.Report == nil {
		o.Report = func(context.Context, string, string, json.RawMessage) error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Changed == nil {
		o.Changed = func(string, bool) {}
	}
	b := &Bank{
		o: o, log: o.Log, open: openBoard,
		byName: map[string]pin{}, bindings: map[string][]*binding{},
		due: make(chan struct{}, 1), owed: make(chan struct{}, 1),
	}
	b.addOutputs()
	b.addInputs()
	b.addSensors()
	return b
}

// Open claims all pins and puts every output at its safe level. Its error is
// PinErrors, every pin that does not exist or is in use; the others have been
// let go of again, and the Bank is closed. Call it before the process opens files
// or listens (periph's start-up closes descriptors that are not its own), and
// Close in any case.
func (b *Bank) Open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.board != nil || b.closed {
		return errors.New("open the pins: they were opened before")
	}
	if b.empty() {
		b.board = newSim() // no pin, so no reason to look for a board
		return nil
	}
	board, err := b.open(b.o.Config.Driver, b.log)
	if err != nil {
		return PinErrors{{Path: "gpio.driver", Problem: err.Error()}}
	}
	judged := map[string]*PinError{}
	for _, e := range b.judge(board) {
		judged[e.Path] = e
	}
	faults := append(b.openOutputs(board), b.openInputs(board)...)
	for i, e := range faults {
		faults[i] = cmp.Or(judged[e.Path], e) // that of the file says more than that of the kernel
	}
	if len(faults) > 0 {
		b.stop()
		b.release()
		b.closed = true
		return faults
	}
	b.openSensors(board)
	b.board = board
	return nil
}

// empty tells whether there is nothing for which a board is needed.
func (b *Bank) empty() bool { return len(b.actuators)+len(b.inputs)+len(b.sensors) == 0 }

// pinError says what is wrong with the pin of an entry, in the words of the file.
func pinError(board board, entry, pin string, err error) *PinError {
	e := &PinError{Path: entry + ".pin", Pin: pin, Problem: fmt.Sprintf("the pin %q cannot be used: %v", pin, err)}
	var setting *settingError
	switch {
	case errors.As(err, &setting):
		e.Path, e.Problem, e.Hint = entry+"."+setting.key, setting.problem, setting.hint
	case errors.Is(err, errNoLine):
		e.Problem = fmt.Sprintf("the board has no pin %q", pin)
		e.Hint = board.hint()
	case errors.Is(err, errInUse):
		e.Hint = "another program or a driver of the kernel has it"
	case errors.Is(err, errNoEdges):
		e.Hint = "an input needs a line with interrupts, such as those of the board itself"
	}
	return e
}

// Run reads inputs and sensors, mends what fails and reports, until ctx is cancelled
// or one of its own goroutines panics, which is its error. When it returns, every
// output is at its safe level and the pins are let go of.
func (b *Bank) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended, err := b.begin(cancel)
	if err != nil {
		return err
	}
	defer close(ended)
	defer b.release()

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	// Before anybody is waited for: an LED does not wait for a button.
	defer b.stop()
	failed := make(chan error, 2*len(b.inputs)+len(b.sensors)+2)
	work := func(what string, f func(context.Context)) {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					failed <- fmt.Errorf("%s: panic: %v\n%s", what, p, debug.Stack())
				}
			}()
			f(ctx)
		})
	}
	b.runInputs(work)
	for _, s := range b.sensors {
		work("read the sensor "+s.Name, s.watch)
	}
	work("keep the contracts of pins", b.attend)
	work("report pins", b.report)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// begin makes the caller the one Run of this Bank.
func (b *Bank) begin(cancel context.CancelFunc) (ended chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.board == nil || b.closed || b.ended != nil {
		return nil, errors.New("run the pins: they are not open, closed, or run already")
	}
	b.cancel, b.ended = cancel, make(chan struct{})
	return b.ended, nil
}

// Close puts every output at its safe level and lets go of the pins; a Run ends.
// It may be called at any time and more than once, but not from Publish, Report
// or Changed.
func (b *Bank) Close() {
	b.stop()
	b.mu.Lock()
	cancel, ended := b.cancel, b.ended
	b.closed = true
	b.mu.Unlock()
	if ended != nil {
		cancel()
		<-ended
		return
	}
	b.release()
}

// running returns the channel that is closed when the Run that is on ends.
func (b *Bank) running() (ended <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil {
		return nil, errors.New("nobody watches the pins")
	}
	return b.ended, nil
}

// stop puts every output at its safe level, after which no command moves it.
func (b *Bank) stop() {
	for _, a := range b.offFirst() {
		a.stop()
	}
}

func (b *Bank) release() {
	for _, a := range b.actuators {
		a.release()
	}
	for _, in := range b.inputs {
		in.base().release()
	}
	b.releaseSensors()
}

// wake lets the goroutine that waits for c have a look, now or when it comes.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

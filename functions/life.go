package functions

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"greengate/functions/endpoint"
	"greengate/functions/sandbox"
)

// launcher starts the processes of instances: functions/sandbox, or a fake of a test.
type launcher interface {
	start(ctx context.Context, spec sandbox.Spec) (process, error)
	// open opens the door of an instance: functions/endpoint.
	open(o endpoint.Options) (door, error)
}

// process is a started process with all that it has started itself.
type process interface {
	Wait() sandbox.Exit
	Kill()
	Owns(pid int) bool
	Memory() (int64, bool)
	Unlinked(device uint64) int64
}

// door is what an instance works over.
type door interface {
	Env() []string
	Run(ctx context.Context) error
	Close() error
}

// realLauncher is the one that is no test.
type realLauncher struct{ sandbox *sandbox.Sandbox }

func (l realLauncher) start(ctx context.Context, spec sandbox.Spec) (process, error) {
	p, err := l.sandbox.Start(ctx, spec)
	if err != nil {
		return nil, err // not a nil *Process in the interface
	}
	return p, nil
}

func (l realLauncher) open(o endpoint.Options) (door, error) {
	d, err := endpoint.New(o)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// run is the life of an instance, from its start until nothing is left of it.
func (in *instance) run(ctx context.Context) {
	exit, err := in.live(ctx)
	f := in.f
	f.mu.Lock()
	defer f.unlock()
	f.lost(in, exit, err)
}

// live starts the process and waits for its end. An error says that it did not start.
func (in *instance) live(ctx context.Context) (exit sandbox.Exit, err error) {
	m := in.f.m
	begun := sync.OnceFunc(func() { close(in.started) })
	defer begun()
	scratch, err := m.scratch(in)
	if err != nil {
		return exit, err
	}
	defer os.RemoveAll(scratch) // what cannot be removed is at the next start
	door, err := m.launcher.open(m.doorOptions(in))
	if err != nil {
		return exit, fmt.Errorf("open its endpoint: %w", err)
	}
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan error, 1)
	go func() { served <- door.Run(serving) }()
	defer func() {
		begun() // nobody of the endpoint waits for it any more
		stopServing()
		_ = door.Close() // it has served; there is nothing to lose
	}()

	out, err := newOutput(in)
	if err != nil {
		return exit, err
	}
	defer out.wait()
	spec := m.spec(in, scratch, door.Env())
	spec.Stdout, spec.Stderr = out.stdout, out.stderr
	p, err := m.launcher.start(ctx, spec)
	out.started()
	if err != nil {
		return exit, err
	}
	in.process = p
	begun()
	return in.watch(p, served, newScratch(scratch, &m.o.Bounds)), nil
}

// watch waits for the end of the process, and ends it when the instance is to end.
func (in *instance) watch(p process, served <-chan error, written scratch) sandbox.Exit {
	exited := make(chan sandbox.Exit, 1)
	go func() { exited <- p.Wait() }()
	look := time.NewTicker(scratchLook)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if fault := written.over(p); fault != "" {
				in.broke(whyScratch, fault)
			}
		case exit := <-exited:
			return exit
		case <-in.quit:
			p.Kill()
			return <-exited
		case err := <-served:
			served = nil
			in.broke(whyDoor, fmt.Sprintf("its endpoint ended: %v", err))
		}
	}
}

// broke ends the instance for a fault, which is told in words.
func (in *instance) broke(why, fault string) {
	in.f.mu.Lock()
	defer in.f.unlock()
	if !in.closing {
		in.fault = fault
		in.end(why)
	}
}

// owns tells whether a process belongs to the instance. One that is quick may come to
// its endpoint before we have heard that it runs.
func (in *instance) owns(pid int) bool {
	<-in.started
	return in.process != nil && in.process.Owns(pid)
}

// lost notes how an instance ended. The caller holds f.mu.
func (f *function) lost(in *instance, exit sandbox.Exit, err error) {
	asked := in.why == whyIdle || in.why == whyReload || in.why == whyStop
	in.gone()
	text := exit.String()
	switch {
	case err != nil:
		text = fmt.Sprintf("it could not be started: %v", err)
	case in.fault != "":
		text = in.fault
	case in.why == whyTimeout:
		text = fmt.Sprintf("a call took longer than %v", in.c.Timeout)
	case in.why == whySilent:
		text = fmt.Sprintf("it did not ask for its next call within %v", in.c.Timeout)
	case in.why == whyInit:
		text = fmt.Sprintf("it did not ask for work within %v", f.m.o.Bounds.Init)
	}
	if c := in.call; c != nil && !c.answered {
		failure := Failure{Type: "Runtime.ExitError", Message: text}
		if exit.OOM {
			failure.Type = "Runtime.OutOfMemory"
		}
		if in.why == whyStop && !c.durable { // its time at the end is over
			in.release(c)
			f.close(c, end{verdict: Dropped, reason: ReasonStopped})
		} else {
			f.failed(in, c, ReasonExit, failure)
		}
	}
	if asked {
		f.log.Debug("An instance has ended", "instance", in.name, "reason", in.why)
	} else {
		f.crashed(in, text)
	}
	f.wake()
}

// crashed has the next start wait. The caller holds f.mu.
func (f *function) crashed(in *instance, text string) {
	b := &f.m.o.Bounds
	if time.Since(in.begun) >= b.LastBackOff {
		f.failures = 0
	}
	f.failures++
	f.stats.restarts++
	f.stats.fault(text)
	f.pause = grow(b.FirstBackOff, b.LastBackOff, f.failures)
	f.startAfter = time.Now().Add(f.pause)
	f.log.Warn("A function has ended; it starts again", "instance", in.name, "err", text, "times", f.failures, "after", f.pause)
	if in.ready || f.readyInstances() > 0 {
		return
	}
	// Somebody waits at a terminal: what keeps the function from starting is the answer.
	for c := f.waiting.first; c != nil; {
		next := c.next
		if c.result != nil {
			f.close(c, end{verdict: Failed, reason: ReasonExit, failure: Failure{Type: "Runtime.InitError", Message: text}})
		}
		c = next
	}
}

func (f *function) readyInstances() (n int) {
	for _, in := range f.instances {
		if in.ready && !in.closing {
			n++
		}
	}
	return n
}

// output are the pipes of an instance.
type output struct {
	stdout, stderr *os.File // of the process
	reads          [2]*os.File
	done           sync.WaitGroup
}

// lastWords is how long what was written may take to be read after the end.
const lastWords = time.Second

func newOutput(in *instance) (*output, error) {
	out := &output{}
	for i, stream := range []string{"stdout", "stderr"} {
		r, w, err := os.Pipe()
		if err != nil {
			out.started()
			out.wait()
			return nil, fmt.Errorf("make a pipe: %w", err)
		}
		out.reads[i] = r
		if i == 0 {
			out.stdout = w
		} else {
			out.stderr = w
		}
		out.done.Go(func() { in.f.journal.read(r, stream, in.name) })
	}
	return out, nil
}

// started closes our copies of what the process writes to.
func (out *output) started() {
	for _, w := range []*os.File{out.stdout, out.stderr} {
		if w != nil {
			_ = w.Close() // nothing of ours was written
		}
	}
}

// wait reads to the end what was written, or for a while: a process that got away
// may hold the pipe.
func (out *output) wait() {
	for _, r := range out.reads {
		if r != nil {
			if err := r.SetReadDeadline(time.Now().Add(lastWords)); errors.Is(err, os.ErrNoDeadline) {
				_ = r.Close()
			}
		}
	}
	out.done.Wait()
	for _, r := range out.reads {
		if r != nil {
			_ = r.Close()
		}
	}
}

package testvm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"greengate/core/admin/client"
	"greengate/sync/cloud/cloudtest"
	"greengate/testvm/freeport"
	"greengate/testvm/mqtt"
	"greengate/testvm/streams"
)

// patience is how long a gateway may take to serve all that waits on a disk.
const patience = time.Minute

// checker starts greengate on disks and looks whether all is there. It has a site
// of its own, and checks one disk at a time.
type checker struct {
	*site
	place
	ca     *cloudtest.Authority
	status *client.Client
}

func newChecker(s *site, dir string) (*checker, error) {
	c := &checker{site: &site{s.greengate, filepath.Join(dir, "site")}}
	// The cloud of the checker is a new one, without the shadows of the machine's: what
	// was in step there would count as deleted in the cloud while the gateway was away.
	c.place = place{data: filepath.Join(dir, "disk", "data"), shadow: "local"}
	for _, address := range []*string{&c.broker, &c.discover, &c.cloud} {
		var err error
		if *address, err = freeport.Take("127.0.0.1"); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(s.copy(c.dir), c.write(c.dir)); err != nil {
		return nil, err
	}
	c.status = client.New(filepath.Join(c.data, "greengate.sock"))
	var err error
	c.ca, err = cloudtest.OpenAuthority(filepath.Join(c.dir, "cloud"))
	return c, err
}

// check starts greengate on a disk and takes all that waits there. Its findings
// are what is wrong; err is about this test.
func (c *checker) check(image *pages, n noted) (v verdict, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	file := filepath.Join(filepath.Dir(c.dir), "image")
	if err := image.save(file); err != nil {
		return v, err
	}
	fault, err := extract(file, filepath.Dir(c.data))
	if fault != "" {
		v.find("%s", fault)
	}
	if fault != "" || err != nil {
		return v, err
	}
	sky, err := c.openSky(ctx)
	if err != nil {
		return v, err
	}
	defer sky.close()
	var log bytes.Buffer
	g := exec.Command(c.greengate, "run", "--config", filepath.Join(c.dir, "group.yaml"))
	g.Stdout, g.Stderr = &log, &log
	g.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.Start(); err != nil {
		return v, err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- g.Wait()
		cancel()
	}()
	c.serve(ctx, n, sky, &v)
	_ = g.Process.Signal(syscall.SIGTERM)
	defer time.AfterFunc(patience, func() { _ = g.Process.Kill() }).Stop()
	if err := <-ended; err != nil {
		v.find("the gateway ended: %v", err)
	}
	if len(v.findings) > 0 {
		v.find("the gateway's log:\n%s", log.String())
	}
	return v, nil
}

// serve plays the reader and the cloud for a gateway that has just been started.
func (c *checker) serve(ctx context.Context, n noted, sky *sky, v *verdict) {
	st, err := c.until(ctx, func(*client.Status) bool { return true })
	if err != nil {
		v.find("it does not start: %v", err)
		return
	}
	for _, f := range st.Faults {
		v.find("a fault in %s: %s", f.Component, f.Message)
	}
	reader := c.read(n, v)
	st, err = c.until(ctx, func(st *client.Status) bool { return st.Ledger.Waiting == 0 && st.Spool.Messages == 0 })
	if err != nil {
		v.find("it does not deliver what waits: %v; %+v", err, st.Ledger)
	}
	if l := st.Ledger; l.Accepted != l.Delivered+l.Waiting {
		v.find("the ledger has losses, or does not balance: %+v", l)
	}
	for i, s := range streams.All {
		switch s.Store {
		case streams.Session:
			v.judge(i, n, reader.end()[i])
		case streams.Spool:
			v.judge(i, n, sky.close()[i])
		case streams.Shadow:
			c.compare(ctx, i, n, v)
		case streams.Kept:
			c.receive(i, n, v)
		}
	}
}

// until asks the gateway for its status until that is as wanted.
func (c *checker) until(ctx context.Context, wanted func(*client.Status) bool) (*client.Status, error) {
	last := new(client.Status)
	for {
		st, err := c.status.Status(ctx)
		if err == nil {
			if last = st; wanted(st) {
				return st, nil
			}
		}
		select {
		case <-ctx.Done():
			return last, errors.Join(ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// compare looks at the shadow of a stream.
func (c *checker) compare(ctx context.Context, stream int, n noted, v *verdict) {
	s, acknowledged := streams.All[stream], n[fact{stream, streams.Acknowledged}]
	v.acknowledged += acknowledged
	text, err := c.status.Shadow(ctx, s.Thing, s.ShadowName())
	var refused *client.Refusal
	if errors.As(err, &refused) && refused.Code == 404 && acknowledged == 0 {
		return
	}
	var document struct{ Version int }
	if err = errors.Join(err, json.Unmarshal(text, &document)); err != nil {
		v.find("%s: update %d was accepted; now: %v", s.Topic, acknowledged, err)
		return
	}
	if number := streams.Number(text); number < acknowledged || document.Version < acknowledged {
		v.find("%s: update %d was accepted; now it is %d, version %d", s.Topic, acknowledged, number, document.Version)
		v.lost[streams.Shadow] += max(acknowledged-number, 1)
	}
}

// receive looks at the message that is retained of a stream.
func (c *checker) receive(stream int, n noted, v *verdict) {
	s, acknowledged := streams.All[stream], n[fact{stream, streams.Acknowledged}]
	if acknowledged == 0 {
		return // there may be none
	}
	v.acknowledged += acknowledged
	number, err := c.retained(s.Topic)
	if err != nil || number < acknowledged {
		v.find("%s: message %d was retained; now it is %d (%v)", s.Topic, acknowledged, number, err)
		v.lost[streams.Kept] += acknowledged - number
	}
}

// retained subscribes, and returns the number of the first message that comes.
func (c *checker) retained(topic string) (number int, err error) {
	config, err := mqtt.Credential(filepath.Join(c.dir, "devices"), streams.Late)
	if err != nil {
		return 0, err
	}
	late, _, err := mqtt.Dial(c.broker, config, streams.Late, true)
	if err != nil {
		return 0, err
	}
	defer late.Close()
	defer time.AfterFunc(patience/6, func() { _ = late.Close() }).Stop() // when none comes
	if err := late.Subscribe(topic); err != nil {
		return 0, err
	}
	p, err := late.Read()
	return streams.Number(p.Payload), err
}

// reader is the device that was away.
type reader struct {
	client *mqtt.Client // nil: it could not connect
	done   chan struct{}
	got    []arrivals
}

// read connects the reader, and takes what comes.
func (c *checker) read(n noted, v *verdict) *reader {
	r := &reader{got: make([]arrivals, len(streams.All)), done: make(chan struct{})}
	close(r.done)
	config, err := mqtt.Credential(filepath.Join(c.dir, "devices"), streams.Reader)
	if err != nil {
		v.find("%v", err)
		return r
	}
	connection, present, err := mqtt.Dial(c.broker, config, streams.Reader, false)
	if err != nil {
		v.find("the reader: %v", err)
		return r
	}
	r.client = connection
	for i, s := range streams.All {
		if _, subscribed := n[fact{i, streams.Subscribed}]; s.Store == streams.Session && subscribed && !present {
			v.find("the reader's session is gone")
			break
		}
	}
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		for {
			p, err := r.client.Read()
			if err != nil {
				return
			}
			if i, ok := streams.Of(p.Topic); ok && p.Kind == mqtt.Publish {
				r.got[i] = append(r.got[i], streams.Number(p.Payload))
				_ = r.client.Ack(p.ID) // an error ends Read too
			}
		}
	}()
	return r
}

func (r *reader) end() []arrivals {
	if r.client != nil {
		_ = r.client.Close()
	}
	<-r.done
	return r.got
}

// sky is the cloud.
type sky struct {
	stop context.CancelFunc
	done chan struct{}
	got  []arrivals // while it runs, under its lock
}

func (c *checker) openSky(ctx context.Context) (*sky, error) {
	l, err := net.Listen("tcp", c.cloud)
	if err != nil {
		return nil, err
	}
	s := &sky{got: make([]arrivals, len(streams.All)), done: make(chan struct{})}
	cloud, err := cloudtest.New(cloudtest.Options{
		Listener: l, NoData: true, CA: c.ca, Limits: cloudtest.NoRates(), Forget: true,
		OnReceive: func(r cloudtest.Received) {
			if i, ok := streams.Of(r.Topic); ok && !streams.Synced(r.Topic) {
				s.got[i] = append(s.got[i], streams.Number(r.Payload))
			}
		},
	})
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	ctx, s.stop = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		_ = cloud.Run(ctx) // a cloud that fails shows in what does not arrive
	}()
	return s, nil
}

func (s *sky) close() []arrivals {
	s.stop()
	<-s.done
	return s.got
}

// Command traffic is two devices in the virtual machine: a sender with numbered messages
// of QoS 1, one after the other, and a receiver with a session that outlives its
// connection. Both come back as often as they are cut. At SIGTERM the sender stops, the
// receiver waits for what is missing, and one line says what became of the messages:
//
//	sent=812 received=812 lost=0 twice=1 cuts=2 missing=[]
//
// Cuts are those of both connections together; missing are the first numbers that were
// acknowledged and never came.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"greengate/testvm/mqtt"
)

const topic = "numbers/sender"

// pace is the pause after a message, or after an attempt to connect that failed.
const pace = 20 * time.Millisecond

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: traffic ADDRESS FOLDER (of the certificates)")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	r := &run{address: os.Args[1], folder: os.Args[2], numbers: make(chan int, 1024)}
	subscribed := make(chan bool)
	go r.receive(subscribed)
	go r.count()
	<-subscribed // what is sent before that is for nobody
	r.send(ctx)
	if r.settle(15*time.Second) > 0 {
		os.Exit(1)
	}
}

type run struct {
	address, folder string
	numbers         chan int // as they come in
	sent, cuts      atomic.Int64
	twice           atomic.Int64
	seen            sync.Map // the numbers that came
}

// connect tries until it works; the first time it must.
func (r *run) connect(thing string) (*mqtt.Client, bool) {
	config, err := mqtt.Credential(r.folder, thing)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	config.ServerName = "localhost"
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for {
		client, present, err := mqtt.Dial(r.address, config, thing, false)
		if err == nil {
			return client, present
		}
		time.Sleep(pace)
	}
}

// send publishes 1, 2, 3... until ctx ends. A number counts when it is acknowledged; one
// that is not goes out again.
func (r *run) send(ctx context.Context) {
	client, _ := r.connect("sender")
	for n := 1; ctx.Err() == nil; {
		if err := publish(client, n); err != nil {
			_ = client.Close()
			r.cuts.Add(1)
			client, _ = r.connect("sender")
			continue
		}
		r.sent.Store(int64(n))
		n++
		time.Sleep(pace)
	}
}

// publish waits for the acknowledgement.
func publish(client *mqtt.Client, n int) error {
	id := uint16(n%65535 + 1)
	if err := client.Publish(topic, []byte(strconv.Itoa(n)), id, false); err != nil {
		return err
	}
	for {
		p, err := client.Read()
		if err != nil {
			return err
		}
		if p.Kind == mqtt.Puback && p.ID == id {
			return nil
		}
	}
}

// receive takes what comes, and acknowledges it. It closes subscribed when the gateway has
// its subscription, which is then part of the session.
func (r *run) receive(subscribed chan bool) {
	for {
		client, present := r.connect("receiver")
		var err error
		if !present {
			err = client.Subscribe("numbers/#")
		}
		if err == nil && subscribed != nil {
			close(subscribed)
			subscribed = nil
		}
		for err == nil {
			var p mqtt.Packet
			if p, err = client.Read(); err == nil && p.Kind == mqtt.Publish {
				n, _ := strconv.Atoi(string(p.Payload))
				r.numbers <- n
				err = client.Ack(p.ID)
			}
		}
		_ = client.Close()
		r.cuts.Add(1)
	}
}

// count tells new numbers from those that came before.
func (r *run) count() {
	for n := range r.numbers {
		if _, again := r.seen.LoadOrStore(n, true); again {
			r.twice.Add(1)
		}
	}
}

// missing are the acknowledged numbers that have not come.
func (r *run) missing() (list []int) {
	for n := 1; n <= int(r.sent.Load()); n++ {
		if _, came := r.seen.Load(n); !came {
			list = append(list, n)
		}
	}
	return list
}

// settle waits until all has come, says what has, and returns how many are lost.
func (r *run) settle(patience time.Duration) int {
	for end := time.Now().Add(patience); len(r.missing()) > 0 && time.Now().Before(end); {
		time.Sleep(pace)
	}
	lost, sent := r.missing(), int(r.sent.Load())
	fmt.Printf("sent=%d received=%d lost=%d twice=%d cuts=%d missing=%v\n",
		sent, sent-len(lost), len(lost), r.twice.Load(), r.cuts.Load(), lost[:min(len(lost), 20)])
	return len(lost)
}

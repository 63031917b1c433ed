package main_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/eclipse/paho.golang/paho"
)

// TestAbuseUnreadAnswers: a device asks over and over for the largest answers that there
// are, on as many connections as it gets, and reads none.
func TestAbuseUnreadAnswers(t *testing.T) {
	t.Parallel()
	g := besiege(t, []string{"greedy", "honest2"}, row{From: "greedy", Topic: "kept/#", To: "greedy"})
	greedy := g.connect("greedy")
	for topic, size := range map[string]int{"kept/fits": 128 << 10, "kept/large": 3 << 20} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := greedy.Publish(ctx, &paho.Publish{Topic: topic, QoS: 1, Retain: true, Payload: []byte(strings.Repeat("x", size))})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
	config := g.tls(g.identity("greedy"))
	config.NextProtos = nil
	small := &net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); e != nil {
			return e
		}
		return err
	}}
	for range many(150, 1000) {
		conn, err := tls.DialWithDialer(small, "tcp", g.discovery, config)
		if err != nil {
			continue // so many of its connections have not been heard yet
		}
		defer conn.Close()
		for range 4 {
			fmt.Fprint(conn, "GET /retainedMessage/kept%2Flarge HTTP/1.1\r\nHost: gw\r\n\r\nGET /retainedMessage/kept%2Ffits HTTP/1.1\r\nHost: gw\r\n\r\n")
		}
	}
	g.newcomer("answers that nobody reads")
	g.counted("discovery-too-many-connections", 1)
	g.counted("rest-too-large", 1)
	g.counted("discovery-unread-answer", 1) // 10 s after it was ready
	g.newcomer("its end")
	g.withstood(mostGrowth, mostLines)
}

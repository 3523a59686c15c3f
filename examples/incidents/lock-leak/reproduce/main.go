// Command tickerd reproduces a leaked lock: one rare path returns between Lock
// and Unlock, and from then on every goroutine that touches the hub waits. The
// service no longer reads its feed, its receive buffer fills, and on the wire it
// advertises a window of zero.
//
//	tickerd feed            sends ticks to whoever connects
//	tickerd serve FEED      reads ticks from FEED and pushes them to subscribers
//	tickerd subscribe ADDR  reads pushes and reports when they stop
//
// All listen on loopback at a port of the system's choice and say which.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // the dump is what the incident is found with
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds | log.LUTC)
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "feed":
		return feed()
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 2 && args[0] == "subscribe":
		return subscribe(args[1])
	}
	return errors.New("usage: tickerd feed | serve FEED | subscribe ADDR")
}

// serve is the service that fails.
func serve(feedAddr string) error {
	hub := newHub()
	conn, err := net.Dial("tcp", feedAddr)
	if err != nil {
		return fmt.Errorf("feed: %w", err)
	}
	pprof, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { log.Print(http.Serve(pprof, nil)) }()
	subscribers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	log.Printf("tickerd pid=%d feed=%s subscribers on %s pprof on %s", os.Getpid(), feedAddr, subscribers.Addr(), pprof.Addr())
	go readFeed(conn, hub)
	go func() {
		for range time.Tick(2 * time.Second) {
			log.Printf("symbols=%d subscribers=%d", hub.Symbols(), hub.Subscribers())
		}
	}()
	for {
		c, err := subscribers.Accept()
		if err != nil {
			return err
		}
		go session(c, hub)
	}
}

func readFeed(conn net.Conn, hub *Hub) {
	in := bufio.NewScanner(conn)
	for in.Scan() {
		symbol, seq, ok := strings.Cut(in.Text(), " ")
		if !ok {
			continue
		}
		seq, _, _ = strings.Cut(seq, " ")
		n, err := strconv.Atoi(seq)
		if err != nil {
			continue
		}
		hub.Publish(Tick{Symbol: symbol, Seq: n, Text: in.Text()})
	}
	log.Printf("feed ended: %v", in.Err())
}

// session serves one subscriber until it leaves.
func session(c net.Conn, hub *Hub) {
	defer c.Close()
	log.Printf("subscriber %s connected", c.RemoteAddr())
	ch := hub.Subscribe()
	defer hub.Unsubscribe(ch)
	for t := range ch {
		if _, err := fmt.Fprintln(c, t.Text); err != nil {
			return
		}
	}
}

func subscribe(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	got := 0
	for in := bufio.NewReader(c); ; got++ {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return err
		}
		if _, err := in.ReadString('\n'); err != nil {
			log.Printf("WARN no push for 5 s after %d ticks: %v", got, err)
			return nil
		}
	}
}

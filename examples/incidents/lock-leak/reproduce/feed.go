package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"
)

// lateAfter is how long the feed is well-behaved. Then it sends one late tick,
// as a feed does after a failover.
const lateAfter = 4 * time.Second

// feed sends ticks to each consumer, about 400 KB a second.
func feed() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	log.Printf("feed pid=%d listening on %s", os.Getpid(), l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go send(c)
	}
}

func send(c net.Conn) {
	defer c.Close()
	log.Printf("consumer %s", c.RemoteAddr())
	pad := strings.Repeat("9", 400)
	start, late := time.Now(), false
	for seq := 1; ; seq++ {
		time.Sleep(10 * time.Millisecond)
		s := seq
		if !late && time.Since(start) > lateAfter {
			late, s = true, 3
		}
		var batch strings.Builder
		for i := range 10 {
			fmt.Fprintf(&batch, "SYM%02d %d %s\n", i, s, pad)
			s = seq
		}
		if err := c.SetWriteDeadline(time.Now().Add(2 * time.Second)); err != nil {
			return
		}
		for part := batch.String(); part != ""; {
			n, err := c.Write([]byte(part))
			part = part[n:]
			if err == nil {
				continue
			}
			if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
				log.Printf("consumer %s: %v", c.RemoteAddr(), err)
				return
			}
			log.Printf("WARN consumer %s does not read: nothing sent for 2 s", c.RemoteAddr())
			_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		}
	}
}

package main

import (
	"log"
	"os"
	"sync"
)

// fixed reports whether to run without the bug, for comparison.
func fixed() bool { return os.Getenv("FIXED") != "" }

// Tick is one price.
type Tick struct {
	Symbol string
	Seq    int
	Text   string
}

// Hub knows the last tick of each symbol and who wants to hear of it.
type Hub struct {
	mu   sync.Mutex
	last map[string]int
	subs map[chan Tick]bool
}

func newHub() *Hub { return &Hub{last: map[string]int{}, subs: map[chan Tick]bool{}} }

// Publish hands a tick to all subscribers.
func (h *Hub) Publish(t Tick) {
	h.mu.Lock()
	if t.Seq < h.last[t.Symbol] {
		log.Printf("WARN drop late tick %s seq=%d < %d", t.Symbol, t.Seq, h.last[t.Symbol])
		if fixed() {
			h.mu.Unlock()
		}
		return // the bug: the lock stays held
	}
	h.last[t.Symbol] = t.Seq
	for ch := range h.subs {
		select {
		case ch <- t:
		default: // a slow subscriber misses ticks
		}
	}
	h.mu.Unlock()
}

// Subscribe returns a channel that receives every tick from now on.
func (h *Hub) Subscribe() chan Tick {
	ch := make(chan Tick, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs[ch] = true
	return ch
}

// Unsubscribe ends a subscription.
func (h *Hub) Unsubscribe(ch chan Tick) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, ch)
}

// Symbols is how many symbols were seen.
func (h *Hub) Symbols() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.last)
}

// Subscribers is how many subscriptions there are.
func (h *Hub) Subscribers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs)
}

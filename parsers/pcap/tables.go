package pcap

import (
	"sync"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// batchSize is how many packets go to a worker at a time: enough that the hand-over
// costs nothing per packet, few enough to stay in the cache.
const batchSize = 512

// maxBatches is how many batches of one worker exist: enough that neither side
// waits for a short delay of the other.
const maxBatches = 6

// maxWorkers is as many as one reader can keep busy.
const maxWorkers = 8

// tables are the flow tables of a capture and the workers that fill them. One
// reader decodes; a packet goes to the worker that owns its table, so each table
// sees its packets in the order of the file. Flows that are over become facts there,
// in lists that the reader takes over at the end.
type tables struct {
	all     [shards]*table
	done    [shards]finished
	workers []*worker
	next    packet
	text    []byte
	servers servers
	wg      sync.WaitGroup
}

// worker owns every len(workers)-th table.
type worker struct {
	in   chan *batch
	free chan *batch
	cur  *batch
	made int
	// panicked is read after the worker has ended.
	panicked any
}

// batch is a run of packets and the bytes that they refer to.
type batch struct {
	packets [batchSize]packet
	hash    [batchSize]uint32
	n       int
	text    []byte
}

// newTables are the tables of a capture of which so many facts are wanted at most.
// Each table has a limit of its own, so that what is kept never depends on the
// workers either: twice its share, because flows do not spread evenly.
func newTables(id fact.ID, tunnels *tunnelList, jobs, room int) *tables {
	t := &tables{}
	if jobs > 1 {
		t.workers = make([]*worker, min(jobs, maxWorkers))
	}
	for i := range t.workers {
		t.workers[i] = &worker{in: make(chan *batch, maxBatches), free: make(chan *batch, maxBatches), cur: &batch{}, made: 1}
	}
	for i := range t.all {
		done := &t.done[i]
		done.id, done.tunnels, done.room = id, tunnels, 2*room/shards+64
		t.all[i] = newTable(maxFlows/shards, done.add)
	}
	for i, w := range t.workers {
		t.wg.Go(func() { w.run(t, i) })
	}
	return t
}

// run fills the tables from batches and ends them. A panic must not end the
// program: it is kept for the goroutine that the engine watches, and batches are
// passed back unread.
func (w *worker) run(t *tables, number int) {
	for b := range w.in {
		w.guard(func() {
			for i := range b.n {
				t.all[b.hash[i]%shards].add(&b.packets[i], b.hash[i])
			}
		})
		w.free <- b
	}
	w.guard(func() {
		for i := number; i < shards; i += len(t.workers) {
			t.all[i].end()
		}
	})
}

func (w *worker) guard(do func()) {
	if w.panicked != nil {
		return
	}
	defer func() { w.panicked = recover() }()
	do()
}

// slot is where the next packet is decoded to.
func (t *tables) slot(d *decoder) *packet {
	t.text = t.text[:0]
	d.text = &t.text
	return &t.next
}

// commit hands the packet in the slot to its table.
func (t *tables) commit() {
	p := &t.next
	hash := p.hash()
	p.server = t.servers.hint(p, hash)
	shard := hash % shards
	if len(t.workers) == 0 {
		t.all[shard].add(p, hash)
		return
	}
	w := t.workers[int(shard)%len(t.workers)]
	b := w.cur
	b.packets[b.n], b.hash[b.n] = *p, hash
	if p.text != nil {
		at := len(b.text)
		b.text = append(b.text, p.text...)
		b.packets[b.n].text = b.text[at:len(b.text):len(b.text)]
	}
	if b.n++; b.n == batchSize {
		w.flush()
	}
}

func (w *worker) flush() {
	w.in <- w.cur
	select {
	case w.cur = <-w.free:
	default:
		if w.made < maxBatches {
			w.cur, w.made = &batch{}, w.made+1
		} else {
			w.cur = <-w.free
		}
	}
	w.cur.n, w.cur.text = 0, w.cur.text[:0]
}

// close waits until all packets are seen and all flows delivered. It panics if a
// worker did.
func (t *tables) close() {
	for _, w := range t.workers {
		w.flush()
		close(w.in)
	}
	t.wg.Wait()
	for _, w := range t.workers {
		if w.panicked != nil {
			panic(w.panicked)
		}
	}
	if len(t.workers) == 0 {
		for _, one := range t.all {
			one.end()
		}
	}
}

// sum adds up a counter of all tables.
func (t *tables) sum(of func(*table) int64) (n int64) {
	for _, one := range t.all {
		n += of(one)
	}
	return n
}

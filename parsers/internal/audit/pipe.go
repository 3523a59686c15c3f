package audit

// pipe judges events on a goroutine of its own while the next ones are grouped, in
// their order.
type pipe struct {
	full  chan []*group
	empty chan []*group
	done  chan struct{}
	batch []*group
	panic any // what the goroutine panicked with; close panics with it again
}

// batchSize keeps the cost of a channel operation small against judging.
const batchSize = 128

// Parallel makes the assembler judge events on a second goroutine, which ends in
// Close. Close must then be called.
func (a *Assembler) Parallel() {
	p := &pipe{full: make(chan []*group, 4), empty: make(chan []*group, 16), done: make(chan struct{})}
	a.pipe = p
	go func() {
		defer close(p.done)
		defer func() {
			if p.panic = recover(); p.panic != nil {
				for range p.full { // let the sender go on to close
				}
			}
		}()
		for batch := range p.full {
			for i, g := range batch {
				a.finish(g)
				if !g.small() {
					batch[i] = &group{}
				}
			}
			select {
			case p.empty <- batch:
			default: // enough are under way
			}
		}
	}()
}

func (p *pipe) send(g *group) {
	if p.batch = append(p.batch, g); len(p.batch) == batchSize {
		p.full <- p.batch
		p.batch = make([]*group, 0, batchSize)
	}
}

// reclaim takes back groups that were decoded.
func (p *pipe) reclaim(free []*group) []*group {
	select {
	case batch := <-p.empty:
		return append(free, batch...)
	default:
		return free
	}
}

func (p *pipe) close() {
	if len(p.batch) > 0 {
		p.full <- p.batch
	}
	close(p.full)
	<-p.done
	if p.panic != nil {
		panic(p.panic)
	}
}

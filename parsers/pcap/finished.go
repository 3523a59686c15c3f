package pcap

import "github.com/culprit-dev/culprit/analyze/fact"

// finished are the flows of one table that are over, as facts. They are packed where
// they stay, in lists that the sink takes over: a flow is not copied again.
type finished struct {
	id      fact.ID
	tunnels *tunnelList
	packer  fact.FlowPacker
	lists   [][]fact.Flow
	n, room int
	dropped int64 // flows beyond the room, which are counted only
}

// The first list of a table is short, because most captures have few flows; each
// further one is twice as long.
const (
	firstList   = 4
	longestList = 1024
)

// add makes the fact of a flow.
func (d *finished) add(f *flow) {
	if d.n == d.room {
		d.dropped++
		return
	}
	d.n++
	last := len(d.lists) - 1
	if last < 0 || len(d.lists[last]) == cap(d.lists[last]) {
		size := firstList
		if last >= 0 {
			size = min(2*cap(d.lists[last]), longestList)
		}
		d.lists, last = append(d.lists, make([]fact.Flow, 0, size)), last+1
	}
	list := d.lists[last][:len(d.lists[last])+1]
	r := f.record(d.id, d.tunnels)
	d.packer.Pack(&r, &list[len(list)-1])
	d.lists[last] = list
}

package pcap

import (
	"bytes"
	"compress/flate"
	"io"
)

// inflater unpacks compressed IP payload. It is made when the first is met.
type inflater struct {
	r   io.ReadCloser
	in  bytes.Reader
	out [1 << 16]byte
}

// negotiatedCPI is where identifiers begin that two hosts agreed on; below it each
// stands for an algorithm.
const negotiatedCPI = 256

// ipcomp reads IPComp (RFC 3173) with DEFLATE, the only algorithm in use.
func (d *decoder) ipcomp(c cursor) bool {
	if len(c.b) < 4 {
		return false
	}
	following, cpi := c.b[0], int(c.b[2])<<8|int(c.b[3])
	if cpi != 2 && cpi < negotiatedCPI || !c.skip(4) {
		return true
	}
	if d.inflate == nil {
		d.inflate = &inflater{r: flate.NewReader(bytes.NewReader(nil))}
	}
	z := d.inflate
	z.in.Reset(c.b)
	if err := z.r.(flate.Resetter).Reset(&z.in, nil); err != nil {
		return false
	}
	n, _ := io.ReadFull(z.r, z.out[:]) // what a cut packet yields is used
	if n == 0 {
		return true
	}
	d.into(hopIPComp, 0)
	return d.next(following, cursor{z.out[:n], n})
}

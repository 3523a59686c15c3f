package pcap

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/parsers/pcap/internal/traffic"
)

// The parts of the parser alone, on one capture: what they cost together is
// BenchmarkParse.

func benchCapture(b *testing.B) []byte {
	b.Helper()
	var buf bytes.Buffer
	if err := traffic.Write(&buf, traffic.Options{Flows: 1000, Bytes: 16 << 20, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	b.ReportAllocs()
	return buf.Bytes()
}

// frames calls do with each record of a capture.
func frames(b *testing.B, content []byte, do func(*record)) {
	b.Helper()
	file, err := openContainer(newSource(bytes.NewReader(content)))
	if err != nil {
		b.Fatal(err)
	}
	var r record
	for {
		switch err := file.next(&r); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			b.Fatal(err)
		}
		do(&r)
	}
}

func BenchmarkReader(b *testing.B) {
	content := benchCapture(b)
	for b.Loop() {
		frames(b, content, func(*record) {})
	}
}

func BenchmarkDecode(b *testing.B) {
	content := benchCapture(b)
	dec, text := newDecoder(), []byte(nil)
	dec.text = &text
	var p packet
	for b.Loop() {
		frames(b, content, func(r *record) {
			text = text[:0]
			dec.decode(r, &p)
		})
	}
}

// BenchmarkFlowTable adds packets that were decoded before.
func BenchmarkFlowTable(b *testing.B) {
	content := benchCapture(b)
	dec, text := newDecoder(), []byte(nil)
	dec.text = &text
	var packets []packet
	frames(b, content, func(r *record) {
		var p packet
		text = nil
		if dec.decode(r, &p) && p.proto != 0 {
			packets = append(packets, p)
		}
	})
	for b.Loop() {
		tab := newTable(maxFlows, func(*flow) {})
		for i := range packets {
			tab.add(&packets[i], packets[i].hash())
		}
		tab.end()
	}
	b.ReportMetric(float64(len(packets))*float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}

// BenchmarkPack is what a finished flow costs.
func BenchmarkPack(b *testing.B) {
	var f flow
	p := segment(1, 1, syn, 0)
	k, from := p.flow()
	f.reset(k, p.hash(), p, from)
	f.add(p, from)
	var packer fact.FlowPacker
	var out fact.Flow
	b.ReportAllocs()
	for b.Loop() {
		r := f.record("x.pcap", nil)
		packer.Pack(&r, &out)
	}
}

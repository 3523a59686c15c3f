package applog

import (
	"bytes"
	"math/bits"
	"strconv"
)

// A shape is a message without what varies: every word that holds a digit counts
// as one symbol. Its hash is computed on each line of the log, so it is one pass
// without branches that depend on more than the byte's class.

const (
	hashSeed  = 0xcbf29ce484222325
	hashPrime = 0x9e3779b97f4a7c15
)

// class says what a byte is within a message.
type class uint8

const (
	classSep   class = 0 // ends a word
	classWord  class = 1 // letters, '-' and '_'
	classDigit class = 2 // makes its word vary
)

// classes is indexed by byte. Bytes beyond ASCII count as letters.
var classes = func() (t [256]class) {
	for c := range t {
		switch b := byte(c); {
		case digit(b):
			t[c] = classDigit
		case letter(b), b == '-', b == '_', b >= 0x80:
			t[c] = classWord
		}
	}
	return t
}()

// maxShape is how much of a message counts for its shape.
const maxShape = 512

// shapeHash is the hash of a message's shape. Letters of a word are mixed by
// rotation, which is short in the pipeline, words by multiplication.
func shapeHash(b []byte) uint64 {
	if len(b) > maxShape {
		b = b[:maxShape]
	}
	h, word, varies := uint64(hashSeed), uint64(0), class(0)
	for _, c := range b {
		k := classes[c]
		if k != classSep {
			word = bits.RotateLeft64(word, 7) ^ uint64(c)
			varies |= k
			continue
		}
		if varies >= classDigit {
			word = '#'
		}
		h = (h ^ word ^ uint64(c)<<56) * hashPrime
		h ^= h >> 29
		word, varies = 0, 0
	}
	if varies >= classDigit {
		word = '#'
	}
	h = (h ^ word) * hashPrime
	return h ^ h>>32
}

// fineHash adds to a shape's hash the ports of services that the message names, so
// that equal messages about two services count apart. Ports above 32767 are taken
// for those of clients, which differ every time.
func fineHash(h uint64, msg []byte) uint64 {
	msg = msg[:min(len(msg), maxShape)]
	for i := 0; ; {
		j := bytes.IndexByte(msg[i:], ':')
		if j < 0 {
			return h
		}
		i += j + 1
		if i < 5 || i >= len(msg) || !digit(msg[i]) || !beforePort(msg[:i-1]) {
			continue
		}
		n := digits(msg[i:])
		if p := atoi(msg[i : i+n]); n >= 2 && n <= 5 && p < 32768 {
			h = (h ^ uint64(p)) * hashPrime
		}
	}
}

// beforePort reports whether b ends like an address or with the word port.
func beforePort(b []byte) bool {
	c := b[len(b)-1]
	switch {
	case c == ']', c == '*', bytes.HasSuffix(b, []byte("port")), bytes.HasSuffix(b, []byte("host")):
		return true
	case !digit(c):
		return false
	}
	i := len(b) - 1
	for i > 0 && digit(b[i]) && len(b)-i < 4 {
		i--
	}
	return b[i] == '.'
}

// shapeText is a message with '#' for what varies, cut to a readable length.
func shapeText(b []byte) string {
	const limit = 160
	out := make([]byte, 0, limit)
	for i := 0; i < len(b) && len(out) < limit; {
		start, varies := i, false
		for i < len(b) && classes[b[i]] != classSep {
			varies = varies || classes[b[i]] == classDigit
			i++
		}
		switch {
		case varies:
			out = append(out, '#')
		case i > start:
			out = append(out, b[start:i]...)
		default:
			c := b[i]
			if c < ' ' {
				c = ' '
			}
			out = append(out, c)
			i++
		}
	}
	return string(out)
}

func shapeKey(h uint64) string { return strconv.FormatUint(h, 16) }

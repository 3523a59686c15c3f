package analyze

import "bytes"

const esc = 0x1b

// AppendPlain appends b as a terminal shows it: without the sequences that colour
// it, move the cursor or set a title. These are CSI "ESC [ ... letter", OSC
// "ESC ] ... BEL" or "... ESC \", and "ESC ( B" and its kin that choose characters:
// behind "ESC ( 0" letters are lines, as pstree -G draws them.
func AppendPlain(dst, b []byte) []byte {
	drawing := false
	for {
		i := bytes.IndexByte(b, esc)
		if i < 0 {
			i = len(b)
		}
		from := len(dst)
		dst = append(dst, b[:i]...)
		if drawing {
			dst = dst[:from+len(drawn(dst[from:]))]
		}
		if i == len(b) {
			return dst
		}
		n := sequence(b[i:])
		if n == 3 && b[i+1] == '(' {
			drawing = b[i+2] == '0'
		}
		b = b[i+n:]
	}
}

// drawn replaces the letters of the VT100's line drawing in place by characters
// that look alike, and drops the shifts between the sets.
func drawn(b []byte) []byte {
	out := b[:0]
	for _, c := range b {
		switch c {
		case 'q':
			c = '-'
		case 'x', 't', 'u':
			c = '|'
		case 'm', 'j':
			c = '`'
		case 'w', 'v', 'n', 'l', 'k':
			c = '+'
		case 0x0e, 0x0f:
			continue
		}
		out = append(out, c)
	}
	return out
}

// sequence is the length of the terminal sequence that b begins with.
func sequence(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	switch b[1] {
	case '[':
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
			if b[i] < 0x20 {
				return i // damaged: what follows is text
			}
		}
		return len(b)
	case ']':
		for i := 2; i < len(b); i++ {
			if b[i] == 0x07 {
				return i + 1
			}
			if b[i] == esc && i+1 < len(b) && b[i+1] == '\\' {
				return i + 2
			}
			if b[i] == '\n' {
				return i
			}
		}
		return len(b)
	case '(', ')', '*', '+', '#', '%':
		return min(3, len(b))
	}
	return 2
}

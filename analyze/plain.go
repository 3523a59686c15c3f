package analyze

import "bytes"

const esc = 0x1b

// AppendPlain appends b as a terminal shows it: without the sequences that colour
// it, move the cursor or set a title. These are CSI "ESC [ ... letter", OSC
// "ESC ] ... BEL" or "... ESC \", and "ESC ( B" and its kin that choose characters.
func AppendPlain(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, esc)
		if i < 0 {
			return append(dst, b...)
		}
		dst = append(dst, b[:i]...)
		b = b[i+sequence(b[i:]):]
	}
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

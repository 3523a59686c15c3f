package kernel

import "bytes"

// decisive are phrases that only the kernel prints.
var decisive = [...][]byte{
	[]byte(" invoked oom-killer: "), []byte("oom-kill:constraint="), []byte("Out of memory: Kill"), []byte("emory cgroup out of memory: Kill"),
	[]byte("Call Trace:"), []byte("RIP: 0"), []byte("ot tainted "), []byte(" Tainted: "), []byte(": segfault at "), []byte("audit: type=1"),
	[]byte("Linux version "), []byte("Command line: BOOT_IMAGE="),
}

// Decisive reports whether a message is one that only the kernel prints.
func Decisive(message []byte) bool {
	for _, p := range decisive {
		if bytes.Contains(message, p) {
			return true
		}
	}
	return false
}

// Bracketed reports whether the beginning of a text is surely dmesg's: nearly all
// lines begin with a bracketed stamp, and at least one says what only the kernel
// says. The stamp alone does not tell, because programs print the same one.
func Bracketed(head []byte) bool {
	all, stamped, told := 0, 0, false
	for len(head) > 0 {
		line, rest, whole := bytes.Cut(head, []byte("\n"))
		head = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(bytes.TrimSpace(line)) == 0 || !whole && all > 0 {
			continue
		}
		all++
		p, message, ok := Split(line)
		if !ok || p.Style != "dmesg" && p.Style != "ctime" {
			if all > 20 && stamped*10 < all*8 {
				return false // no need to read on
			}
			continue
		}
		stamped++
		told = told || Decisive(message)
	}
	return told && stamped*10 >= all*8
}

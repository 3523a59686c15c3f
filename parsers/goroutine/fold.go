package goroutine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
)

// telling are functions of the runtime and of the standard library of which the
// arguments say what a goroutine waits for: a lock's address, a channel's, the
// direction of a poll, the length of a sleep.
var telling = []string{
	"internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).lockSlow", "runtime.semacquire1", "runtime.chansend", "runtime.chanrecv",
	"sync.(*WaitGroup).Wait", "sync.runtime_notifyListWait", "internal/poll.runtime_pollWait", "time.Sleep", "panic",
}

// fold leaves frames of the runtime and of the standard library out of a stack, but
// for those that tell something and for the one that the program called.
func fold(text string) string {
	lines := strings.Split(text, "\n")
	if !strings.HasPrefix(lines[0], "goroutine ") {
		return text
	}
	out, left := lines[:1:1], 0
	flush := func() {
		if left > 0 {
			frames := "frames"
			if left == 1 {
				frames = "frame"
			}
			out = append(out, fmt.Sprintf("\t... %d %s of the runtime or the standard library", left, frames))
		}
		left = 0
	}
	for i := 1; i < len(lines); {
		n := frameLines(lines[i:])
		next := i + n
		if n == 2 && library(lines[i:]) && !tells(lines[i]) && (strings.HasSuffix(lines[i], "(...)") || !called(lines[next:])) {
			left++
		} else {
			flush()
			out = append(out, lines[i:next]...)
		}
		i = next
	}
	flush()
	return strings.Join(out, "\n")
}

// called reports whether the frame above these lines was called by the program.
func called(lines []string) bool {
	return len(lines) > 0 && frameLines(lines) == 2 && !library(lines)
}

// frameLines is 2 where a frame begins with its function and its file, else 1.
func frameLines(lines []string) int {
	if len(lines) > 1 && !strings.HasPrefix(lines[0], "created by ") && strings.HasSuffix(strings.TrimRight(lines[0], "\r"), ")") && strings.TrimLeft(lines[1], " \t") != lines[1] {
		return 2
	}
	return 1
}

// library reports whether a frame is none of the program.
func library(lines []string) bool {
	file, _, _ := strings.Cut(strings.TrimLeft(lines[1], " \t"), ":")
	return !fact.Frame{Func: function(lines[0]), File: file}.Application()
}

func tells(line string) bool { return slices.Contains(telling, function(line)) }

// function is the name before the arguments: "main.(*hub).run(0xc000012345)".
func function(line string) string {
	line = strings.TrimLeft(line, " \t")
	if strings.HasPrefix(line, "panic(") {
		return "panic"
	}
	// The receiver's parentheses stand before the last dot.
	depth := 0
	for i := len(line) - 1; i > 0; i-- {
		switch line[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth == 0 {
				return line[:i]
			}
		}
	}
	return line
}

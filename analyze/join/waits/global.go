package waits

import (
	"slices"
	"strings"

	"github.com/culprit-dev/culprit/analyze/fact"
	"github.com/culprit-dev/culprit/analyze/join"
)

// lockOwnerOf is what the lock belongs to that a function takes: the type of its
// method, or for a plain function the package, whose variables all its functions
// share.
func lockOwnerOf(fn string) string {
	if plain(fn) {
		return PackageOf(fn)
	}
	return ownerOf(fn)
}

// plain reports whether a function is neither a method nor a closure.
func plain(fn string) bool {
	pkg := PackageOf(fn)
	return len(pkg) < len(fn) && !strings.Contains(fn[len(pkg)+1:], ".")
}

// lockOwner is lockOwnerOf a frame.
func (s *Stack) lockOwner(i int) string {
	if i < 0 || i >= len(s.Frames) {
		return ""
	}
	if plain(s.Frames[i].Func) {
		return PackageOf(s.Frames[i].Func)
	}
	return s.Owners[i]
}

// imageEnd bounds the addresses of a program that is linked to a fixed place, as Go
// programs are unless they are built otherwise: a lock below it is a variable of a
// package, one and the same for all that wait in a function.
const imageEnd = 1 << 32

// ofPackage reports whether the lock is taken by plain functions and is no field of
// an object that they are given: a variable of the package, or one of a function.
func (l *Lock) ofPackage() bool { return l.plain && l.Object == 0 }

// learnLines notes at which lines plain functions wait for a lock of their package:
// they have no receiver that would tell.
func (l *Lock) learnLines() {
	if !l.ofPackage() {
		return
	}
	l.lines = map[string]int{}
	for _, w := range l.Waiters {
		if w.Stack.Site < 0 {
			continue
		}
		f := w.Stack.Frames[w.Stack.Site]
		if have, ok := l.lines[f.Func]; !ok || f.Line < have {
			l.lines[f.Func] = f.Line
		}
	}
}

// inPackage judges a frame of a plain function in the package of a lock. A function
// in which others wait for the lock has it behind that line; any other could have it
// only where it has called something that waits for another lock.
func (l *Lock) inPackage(s *Stack, frame int) (sign HolderSign, ok bool) {
	f := s.Frames[frame]
	if line, known := l.lines[f.Func]; known {
		if f.Line > line && l.Addr != 0 && l.Addr < imageEnd {
			return HoldsByLine, true
		}
		return HoldsByType, f.Line >= line // on one line with the lock it is behind it
	}
	return HoldsByType, plain(f.Func) && s.Kind.Lock() && frame > s.Site && f.Func != "main.main"
}

// inPackageHolder takes a goroutine for a candidate if one of its frames fits, by the
// frame with the best sign.
func (l *Lock) inPackageHolder(g *fact.Goroutine, s *Stack) {
	best := Holder{G: g, Stack: s}
	for i := max(s.Site, 0); i < len(s.Frames); i++ {
		if lockOwnerOf(s.Frames[i].Func) != l.Type {
			continue
		}
		if sign, ok := l.inPackage(s, i); ok && sign > best.Sign {
			best.Frame, best.Sign = i, sign
		}
	}
	if best.Sign > 0 {
		l.candidate(best)
	}
}

// packageRecursion looks for the frame on a waiter's own stack that took the lock of
// the package: a plain function that is behind the line where others wait for it.
// Without such a line only a caller that was itself called by the application counts,
// or for a reader behind a pending writer any caller: that a function calls what
// locks is no sign by itself.
func (l *Lock) packageRecursion(g *fact.Goroutine, s *Stack) {
	for _, i := range s.App {
		f := s.Frames[i]
		if i <= s.Site || !plain(f.Func) || f.Func == s.Frames[s.Site].Func || PackageOf(f.Func) != l.Type {
			continue
		}
		sign, ok := l.inPackage(s, i)
		if ok && (sign == HoldsByLine || s.Kind == OnRLock || i != s.outermost() && l.Count() == 1) {
			l.recurse(Waiter{g, s}, i, sign)
			return
		}
	}
}

// handsOn are names of methods that lock for whoever calls them: the caller is who
// waits and who holds.
var handsOn = []string{"Lock", "RLock", "WLock", "ReadLock", "WriteLock", "lock", "rlock", "wlock", "rLock", "wLock", "readLock", "writeLock"}

// lockSite moves the site of a wait for a lock from a method that only locks to its
// caller.
//
//	syncutil.(*Mutex).Lock(0xc000124010)
//	store.(*Range).Split(0xc000124000)
func (s *Stack) lockSite() {
	for i := s.Site; i >= 0 && i+1 < len(s.Frames); i++ {
		fn := s.Frames[i].Func
		name := fn[strings.LastIndexByte(fn, '.')+1:]
		if plain(fn) || !slices.Contains(handsOn, name) || !join.Application(s.Frames[i+1]) {
			return
		}
		s.Site = i + 1
		s.App = slices.DeleteFunc(s.App, func(a int) bool { return a == i })
	}
}

// Package waits says who waits for whom in goroutine dumps: the locks that somebody
// waits for with the candidates for their holders, blocked senders, wait groups and
// other waits without a way out in sight.
//
// A Go dump names neither the lock nor its holder. Both are inferred, from arguments,
// receivers and lines, and each inference has its own word: Trust for the identity of
// a lock, HolderSign for a holder, Verdict for what is wrong with a lock. The shapes of
// goroutines whose business is to wait are data, in idle.txt, each with its reason.
//
// The graphs are built once per run, when the first rule asks: see Of.
package waits

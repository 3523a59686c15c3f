// Package celrule makes rules of YAML files with CEL expressions, so that a team
// can add its own diagnosis without a compiler.
//
// A file holds one rule:
//
//	rule: acme/stuck-in-close-wait     # family/words
//	title: sockets stuck in CLOSE_WAIT
//	severity: high
//	confidence: possible
//	doc: |
//	  Our broker never closes sockets after an EOF ...
//	thresholds:
//	  min: {default: 20, unit: sockets, doc: below this it is a burst}
//	facts:                             # named lists: facts of a kind that fit
//	  stuck: {kind: socket, where: it.state == "CLOSE_WAIT" && size(it.owners) > 0}
//	each: stuck                        # judge this list in groups ...
//	by: it.owners[0].process           # ... of equal keys; without by, each fact alone
//	when: size(group) >= limit.min
//	subject: '"broker " + key'
//	say: string(size(group)) + " sockets of " + key + " wait for close()"
//	fix: close the socket when read returns 0
//	next: [ss -tanp state close-wait]
//
// Expressions see: `it`, the fact in where and by; then key, group and all named
// lists, `limit` with the thresholds, and `findings`, what rules named in after
// found. Without each, when is evaluated once. Facts have the fields that
// `analyze facts` prints; a field that the source did not print has its type's
// zero value, and has(it.field) tells the difference.
//
// Expressions are type-checked when the file is loaded; errors say
// file:line:column. Each evaluation has a cost limit, so that a rule cannot stall
// a run. A finding cites the first facts of its group.
package celrule

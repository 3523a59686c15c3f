// Package threads says what the threads of programs in C, C++, Java, Python and
// JavaScript do and which of them wait for a lock, as far as the text of gdb, jstack,
// py-spy and the like names owners.
//
// The samples are built once per run, when the first rule asks: see Of.
package threads

// Package parsertest holds what every parser's tests have in common. A parser's
// test file needs little more than this:
//
//	func TestGolden(t *testing.T) { parsertest.Golden(t, ss.Parser(), "testdata/*.txt") }
//	func TestRobust(t *testing.T) { parsertest.Robust(t, ss.Parser(), "testdata/plain.txt") }
//	func FuzzParse(f *testing.F)  { parsertest.Fuzz(f, ss.Parser(), "testdata/*.txt") }
//
// Golden compares the facts of each file with the JSON Lines beside it
// (FILE.golden.jsonl) and with -update writes them. Read what it wrote: the first
// line is the status of the artifact, then there is one line a fact with its
// position.
//
// Robust parses damaged forms of one good sample: cut after every byte, read byte
// by byte, with NULs, with CRLF, with lines of megabytes, files of other formats.
// It demands of each: no panic, no more facts than bytes, every position inside
// the file and on the line it names, and the same facts again on a second run.
//
// Fuzz is the body of a fuzz target and demands the same of whatever the fuzzer
// makes up. Run it with -fuzzminimizetime 20x: by default the fuzzer shortens each
// find of some kilobytes for a minute, counts nothing meanwhile, and looks stalled.
//
// Run is for everything else: it reads one artifact with one parser, through the
// engine, and returns its facts and status. It fails the test when the parser
// panics or cites a position that does not exist, so a test that looks at three
// fields still checks the rest. Content decides as in a real run: a sample that
// the parser's Sniff does not claim comes back as unclaimed. Force skips Sniff.
package parsertest

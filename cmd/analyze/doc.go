// Command analyze finds the culprit of an incident in the files that were saved
// while it happened: packet captures, goroutine dumps and pprof profiles, audit
// logs, socket, process and file tables, gdb and strace text, kernel and
// application logs. It joins them at the level of host, process, socket,
// goroutine and lock, and prints the root cause, the chain from cause to symptom
// and the line or packet that proves each step. It needs no network and changes
// nothing.
//
// # Usage
//
//	analyze [flags] INPUT...                 report on a bundle
//	analyze facts [-k KIND] INPUT...         what the parsers read, as JSON Lines
//	analyze explain BUNDLE RULE              why a rule fired, stayed quiet or could not run
//	analyze diff BEFORE AFTER                what differs between two bundles or saved reports
//	analyze rules                            the rules
//	analyze rules explain RULE               what a rule looks for, and its thresholds
//	analyze rules test DIRECTORY             the cases of your own rules
//	analyze schema [diff]                    the JSON Schema of the JSON report, or of a comparison
//	analyze completion bash|zsh|fish|powershell
//	analyze man DIRECTORY                    manual pages
//
// INPUT is an archive (tar and zip, also compressed by gzip, zstd, xz, bzip2 or
// lz4, also nested), a directory, one or more files, or - for standard input. The
// content decides what a file is; names only break ties. A directory whose name is
// that of a command is written ./facts.
//
// The report goes to standard output or to the file of -o, which appears whole or
// not at all. Progress (on a terminal) and warnings go to standard error.
// `analyze --help` lists the flags.
//
// Artifacts of several hosts belong in a folder for each, or carry the host in
// their names, as web-1_ps.txt and web-1_ss.txt do.
//
// A bundle may hold a file culprit.yaml in which its collector says which host,
// zone and incident it is about, and what was expected; see
// analyze/bundle/manifest.md.
//
// With --baseline, rules judge against a healthy bundle of the same system, or the
// JSON report that was saved of it: a listener that is missing, a peer that is new,
// a group that grew is then a finding, cited in both. What is wrong with the
// baseline itself is none.
//
// The timeline of a report holds what its findings cite. With --timeline=all it holds
// everything in the bundle that is dated, merged over all clocks, each time with what
// it rests on: lines of logs, audit and kernel records, the beginning and end of
// conversations. Of too much, what is nearest to the findings is kept, and the report
// says how much was left out, as it does for clocks whose zone nothing tells.
//
// With --redact, addresses, names of hosts and users, secrets and e-mail addresses
// are replaced by pseudonyms, equal ones by equal ones, in every format; ports, pids,
// times and positions stay. Names are those that tables and accounts show and those
// that logs and command lines state where a name stands (user=, host=, a URL, a name
// that was looked up); a URL keeps its path. It cannot know everything: names that
// stand nowhere as such, names of programs, files and functions, and short secrets
// that no word announces stay. Read a report before you publish it.
//
// # What to collect
//
// Any of these helps, together they usually suffice; take them while it happens:
//
//	date; uname -a; hostname; uptime             of every host
//	ss -tanpoemi; ss -s; netstat -s; nstat -az   twice, some minutes apart
//	ps axjf; ps -eLf; lsof -nP -p PID; cat /proc/PID/limits
//	curl 'HOST:PORT/debug/pprof/goroutine?debug=2'
//	tcpdump -i any -s 200 -w tcp.pcap 'tcp port PORT'
//	gdb -p PID -batch -ex 'thread apply all bt'; timeout 10 strace -f -tt -T -y -p PID
//	auditctl -a always,exit -F arch=b64 -S kill,tkill,tgkill,pidfd_send_signal
//	dmesg -T; df -h; df -i; the services' own logs
//	kubectl describe pods -A; kubectl get events -A; docker inspect CONTAINER
//
// The report says, for each rule that could not judge, which command would have
// let it.
//
// # Exit codes
//
//	0  the report was written, whatever it says
//	1  wrong usage, or the program failed
//	2  with --fail-on: there is a finding of that severity or above
//	3  the bundle could not be opened, or nothing in it could be read
//
// # Limits
//
// An archive is not trusted. Limits on entries, unpacked bytes, compression ratio
// and nesting are always on; what they leave out stands in the report, with the
// flag that raises the limit. Large entries are unpacked into one temporary file
// that has no name; nothing is written anywhere else.
//
// # Limitations
//
// The report rests on what the bundle holds. A rule that lacks an input is listed
// as skipped, never as clean; but evidence that was not collected cannot speak,
// and a bundle taken after a restart mostly holds the restart.
//
// Clocks that do not say their zone are aligned by events that two artifacts
// share; without such events, and without --tz or a manifest, their times are
// compared with nothing.
//
// The minutes that a goroutine dump prints count from a garbage collection and may
// be missing or too long. A dump of net/http/pprof ends at 64 MiB.
//
// TLS payload is not decrypted; QUIC is counted as UDP. A capture with a short
// snapshot length may lack TCP options. Retransmissions of a capture taken on the
// sending host can be the host's own offloading.
//
// Encrypted zip entries, 7-Zip and RAR archives are listed and not read. Links in
// archives and directories are not followed.
//
// It runs on Linux and macOS; the library that parses audit records does not build
// on Windows.
//
// Confidence is one of three words and no probability; thresholds are defaults
// that `analyze rules explain` shows.
package main

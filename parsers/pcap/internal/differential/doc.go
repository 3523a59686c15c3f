// Package differential compares the pcap parser with the maintained fork of
// gopacket, packet by packet. It is a module of its own, so that the fork is no
// dependency of the program; it holds nothing but a test.
package differential

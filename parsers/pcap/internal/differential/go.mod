module github.com/culprit-dev/culprit/parsers/pcap/internal/differential

go 1.26.0

replace github.com/culprit-dev/culprit => ../../../..

require (
	github.com/culprit-dev/culprit v0.0.0-00010101000000-000000000000
	github.com/gopacket/gopacket v1.7.7
)

require (
	github.com/google/gopacket v1.1.19 // indirect
	golang.org/x/net v0.55.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

#!/bin/sh
# Leaks a lock in a small Go service and collects what an operator would.
# Needs Go, curl, ss and ps; tcpdump (as root) for the capture. Takes about 40 s,
# uses loopback only and leaves nothing behind but the bundle.
#
#	./reproduce.sh [-f] [-o bundle.tar.gz]
. "$(dirname "$0")/../../lib.sh"
need go curl ss ps tar

say "building"
(cd "$here" && go build -trimpath -o "$work/tickerd" .)

start "$bundle/feed.log" "$work/tickerd" feed
feed_pid=$pid
await 10 "$bundle/feed.log" 'listening on'
feed=$(field "$bundle/feed.log" 'listening on ([0-9.]+:[0-9]+)')
feed_port=${feed##*:}
capture feed.pcap "tcp port $feed_port"

start "$bundle/tickerd.log" "$work/tickerd" serve "$feed"
serve_pid=$pid
await 10 "$bundle/tickerd.log" 'pprof on'
addr=$(field "$bundle/tickerd.log" 'subscribers on ([0-9.]+:[0-9]+)')
pprof=$(field "$bundle/tickerd.log" 'pprof on ([0-9.]+:[0-9]+)')
for _ in 1 2 3; do
	start "$bundle/subscriber.log" "$work/tickerd" subscribe "$addr"
done

say "waiting for the late tick"
await 20 "$bundle/tickerd.log" 'drop late tick'
# Subscribers that come now wait for the lock too.
for _ in 1 2 3; do
	start "$bundle/subscriber.log" "$work/tickerd" subscribe "$addr"
done
if [ "$FIXED" ]; then sleep 5; else await 15 "$bundle/feed.log" 'does not read'; fi

say "collecting, twice"
common "$feed_pid" "$serve_pid"
for i in 1 2; do
	curl -s -m 10 "http://$pprof/debug/pprof/goroutine?debug=2" >"$bundle/goroutine_$i.txt"
	sockets "ss_tanpoemi_$i.txt" "$feed_port" "${addr##*:}" "${pprof##*:}"
	[ "$i" = 2 ] || sleep 15
done
stop_capture
finish

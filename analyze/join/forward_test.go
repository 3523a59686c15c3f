package join

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestForwards(t *testing.T) {
	for command, want := range map[string]string{
		"/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80": "172.17.0.2:80",
		"docker-proxy -proto=tcp -host-port=8080 -container-ip=fd00::2 -container-port=80 -use-listen-fd":               "[fd00::2]:80",
		"socat TCP-LISTEN:8080,fork,reuseaddr TCP:10.0.0.5:80":                                                          "10.0.0.5:80",
		"socat - TCP:10.0.0.5:80": "",
		"node docker-proxy.js -container-ip 172.17.0.2 -container-port 80": "",
		"docker-proxy -proto tcp": "",
		"":                        "",
	} {
		got, ok := (&Process{Command: command}).Forwards()
		require.Equal(t, want != "", ok, command)
		if ok {
			require.Equal(t, want, got.String(), command)
		}
	}
	_, ok := (*Process)(nil).Forwards()
	require.False(t, ok)
}

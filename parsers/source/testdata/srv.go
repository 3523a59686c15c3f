package main

import (
	"net"
	"os/exec"
)

func main() {
	/* net.Listen("tcp", "commented") */
	l, _ := net.Listen("tcp", "127.0.0.1:7700")
	_ = l
	c := exec.Command("sh", "-c", `sleep 1`)
	c.Process.Kill()
}

package sockets

import "github.com/culprit-dev/culprit/analyze/fact"

// tcpState translates a TCP state as any of the tools prints it, "" if the word
// is none. The words of other languages are those of the translations of
// net-tools and of Windows.
func tcpState(w []byte) string {
	switch string(w) {
	case "ESTAB", "ESTABLISHED", "VERBUNDEN", "HERGESTELLT", "ESTABELECIDA", "ESTABELECIDO", "SPOJENO", "ETABLERAD", "ESTABLERT", "ESTABLECIDO", "USTANOWIONO":
		return fact.StateEstablished
	case "LISTEN", "LISTENING", "HÖRT", "LISTENED", "ABHÖREN", "ABH\xd6REN", "ABH\x99REN", "OUÇA", "OUVINDO", "NASLOUCHÁ", "LYSSNAR", "ESCOLTA", "ESCOLTANT", "NASŁUCHIWANIE":
		return fact.StateListen
	case "SYN-SENT", "SYN_SENT", "SYNSENT", "SYN_ENVIADO", "SYN_GESENDET":
		return fact.StateSynSent
	case "SYN-RECV", "SYN_RECV", "SYN_RCVD", "SYN_RECEIVED", "SYNRECV", "SYN_RECEBIDO", "SYN_EMPFANGEN", "NEW-SYN-RECV", "NEW_SYN_RECV":
		return fact.StateSynRecv
	case "FIN-WAIT-1", "FIN_WAIT1", "FIN_WAIT_1", "FINWAIT1", "ESPERA_FIN1", "FIN_WARTEN_1":
		return fact.StateFinWait1
	case "FIN-WAIT-2", "FIN_WAIT2", "FIN_WAIT_2", "FINWAIT2", "ESPERA_FIN2", "FIN_WARTEN_2":
		return fact.StateFinWait2
	case "TIME-WAIT", "TIME_WAIT", "TIMEWAIT", "WARTEND":
		return fact.StateTimeWait
	case "CLOSE-WAIT", "CLOSE_WAIT", "CLOSEWAIT", "SCHLIESSEN_WARTEN", "ESPERANDO_FECHAR", "STÄNG_VÄNTA":
		return fact.StateCloseWait
	case "LAST-ACK", "LAST_ACK", "LASTACK", "LETZTE_BEST", "LETZTES_ACK", "ÚLTIMO_ACK":
		return fact.StateLastAck
	case "CLOSING", "FECHANDO", "ZAVÍRÁ", "STÄNGER", "TANCAMENT":
		return fact.StateClosing
	case "CLOSE", "CLOSED", "UNCONN", "FECHAR", "ZAVŘEN", "STÄNG", "STÄNGD", "TANCA", "TANCAT", "GESCHLOSSEN":
		return fact.StateClose
	case "BOUND", "BOUND-INACTIVE", "DELETE_TCB", "UNKNOWN":
		return string(w)
	}
	return ""
}

// isState reports whether a word can stand in the State column of ss or of a
// netstat row that is no TCP socket.
func isState(w []byte) bool {
	if tcpState(w) != "" {
		return true
	}
	switch string(w) {
	case "CONNECTED", "CONNECTING", "DISCONNECTING", "FREE", "LISTENING", "CONECTADO", "CONNECTE", "SPOJEN":
		return true
	}
	return false
}

// kernelState translates the hexadecimal state of /proc/net/tcp.
func kernelState(n int64) string {
	states := [...]string{
		"", fact.StateEstablished, fact.StateSynSent, fact.StateSynRecv, fact.StateFinWait1, fact.StateFinWait2,
		fact.StateTimeWait, fact.StateClose, fact.StateCloseWait, fact.StateLastAck, fact.StateListen, fact.StateClosing, fact.StateSynRecv,
	}
	if n < 0 || n >= int64(len(states)) {
		return ""
	}
	return states[n]
}

// netid translates the first column of ss to a protocol, "" if the word is none.
func netid(w []byte) string {
	switch string(w) {
	case "tcp", "mptcp", "udp", "raw", "sctp", "dccp", "tipc", "xdp", "nl", "smc":
		return string(w)
	case "u_str", "u_dgr", "u_seq", "unix":
		return "unix"
	case "p_raw", "p_dgr":
		return "packet"
	case "v_str", "v_dgr", "vsock":
		return "vsock"
	case "icmp6", "icmp":
		return "icmp"
	case "ti_st", "ti_sq", "ti_dg", "ti_rd":
		return "tipc"
	case "???":
		return "unknown"
	}
	return ""
}

// protocol translates the first column of netstat: without the address family,
// so that tcp6 and tcp46 are tcp.
func protocol(w []byte) string {
	switch string(w) {
	case "tcp", "tcp4", "tcp6", "tcp46", "TCP", "TCPv6":
		return "tcp"
	case "udp", "udp4", "udp6", "udp46", "UDP", "UDPv6":
		return "udp"
	case "udplite", "udplite6", "udpl", "udpl6", "ud4", "ud6":
		return "udplite"
	case "raw", "raw4", "raw6":
		return "raw"
	case "icm4", "icm6", "icm46", "icmp", "icmp4", "icmp6":
		return "icmp"
	case "sctp", "sctp4", "sctp6":
		return "sctp"
	case "divert", "divert4", "ip4", "ip6", "ospf4", "ospf6", "igmp4", "igmp6":
		return string(w)
	}
	return ""
}

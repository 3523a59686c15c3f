package pcap

import "strconv"

// The LINKTYPE values that are decoded, see tcpdump.org/linktypes.html.
const (
	linkNull         = 0
	linkEthernet     = 1
	linkTokenRing    = 6
	linkARCNET       = 7
	linkSLIP         = 8
	linkPPP          = 9
	linkFDDI         = 10
	linkPPPHDLC      = 50
	linkPPPEther     = 51
	linkATM          = 100
	linkRaw          = 101
	linkCHDLC        = 104
	linkWLAN         = 105
	linkFrameRelay   = 107
	linkLoop         = 108
	linkENC          = 109
	linkSLL          = 113
	linkPFLog        = 117
	linkPrism        = 119
	linkSunATM       = 123
	linkRadiotap     = 127
	linkWLANAVS      = 163
	linkPPPDir       = 166
	linkUSB          = 186
	linkUSBMmapped   = 220
	linkMPLS         = 219
	linkPPI          = 192
	linkARCNETLinux  = 129
	linkJuniperEther = 178
	linkIPoIB        = 242
	linkIPNet        = 226
	linkIPv4         = 228
	linkIPv6         = 229
	linkDBus         = 231
	linkNFLOG        = 239
	linkNetAna       = 240
	linkNetAnaT      = 241
	linkUSBPcap      = 249
	linkPktap        = 258
	linkSLL2         = 276
	linkDSATag       = 283
	linkDSADSA       = 284
	linkEDSA         = 285
)

var linkNames = map[int]string{
	linkNull: "null", linkEthernet: "ethernet", linkTokenRing: "token_ring", linkSLIP: "slip", linkARCNET: "arcnet_bsd", linkARCNETLinux: "arcnet_linux", linkJuniperEther: "juniper_ether", linkIPoIB: "ipoib", linkPPP: "ppp",
	linkFDDI: "fddi", linkPPPHDLC: "ppp_hdlc", linkPPPEther: "ppp_ether", linkATM: "atm_rfc1483", linkRaw: "raw",
	linkCHDLC: "c_hdlc", linkWLAN: "ieee802_11", linkFrameRelay: "frelay", linkLoop: "loop", linkENC: "enc",
	linkSLL: "linux_sll", linkPFLog: "pflog", linkPrism: "prism", linkSunATM: "sunatm", linkRadiotap: "ieee802_11_radiotap",
	linkWLANAVS: "ieee802_11_avs", linkPPPDir: "ppp_with_dir", linkUSB: "usb_linux", linkUSBMmapped: "usb_linux_mmapped",
	linkMPLS: "mpls", linkPPI: "ppi", linkIPNet: "ipnet", linkIPv4: "ipv4", linkIPv6: "ipv6", linkDBus: "dbus",
	linkNFLOG: "nflog", linkNetAna: "netanalyzer", linkNetAnaT: "netanalyzer_transparent", linkUSBPcap: "usbpcap",
	linkPktap: "pktap", linkSLL2: "linux_sll2", linkDSATag: "dsa_tag_brcm", linkDSADSA: "dsa_tag_dsa", linkEDSA: "dsa_tag_edsa",
}

// linkType maps the values that old systems wrote for what has another number now.
func linkType(n int) int {
	switch n {
	case 12, 14:
		return linkRaw // DLT_RAW of most systems and of OpenBSD
	case 11:
		return linkATM
	}
	return n
}

func linkName(n int) string {
	if s, ok := linkNames[n]; ok {
		return s
	}
	return "linktype_" + strconv.Itoa(n)
}

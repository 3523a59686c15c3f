package tlsfailure

import (
	"slices"
	"strings"
)

// class is one reason why a handshake fails.
type class struct {
	title, means, fix string
	words             []string // in lower case
	noise             bool     // strangers cause it on every public port
}

// classes are in the order in which they are tried: a line often names the general
// reason beside the special one.
func classes() []class {
	return []class{
		{
			title: "the certificate has expired",
			means: "The peer's certificate, or one of the chain above it, is past its end (notAfter). Every new connection fails until it is replaced; open ones go on.",
			fix:   "Renew the certificate and reload the service that serves it; find out why the renewal did not run. If the certificate is new, the service still serves the old one, or the client's clock is wrong.",
			words: []string{"certificate has expired", "certificate expired", "cert_has_expired", "certificateexpired", "certificate is expired", "sec_error_expired", "x509_v_err_cert_has_expired", "err_cert_date", "alert number 45"},
		},
		{
			title: "the certificate is not valid yet",
			means: "The certificate begins later (notBefore) than the clock of the client says: one of the two is wrong.",
			fix:   "Compare the clock of the client with the begin of the certificate.",
			words: []string{"certificate is not yet valid", "cert_not_yet_valid", "certificatenotyetvalid"},
		},
		{
			title: "the certificate is of another name",
			means: "The certificate does not name the host that the client asked for.",
			fix:   "Connect by a name that the certificate holds, or add this name to it.",
			words: []string{"err_tls_cert_altname_invalid", "does not match certificate's altnames", "certificate is valid for", "hostname mismatch", "no subject alternative", "ssl: no alternative certificate subject name"},
		},
		{
			title: "the certificate is not trusted",
			means: "No authority that the client trusts has signed the certificate: it is self-signed, an intermediate certificate is missing, or the authority was replaced.",
			fix:   "Serve the whole chain, or give the client the authority's certificate.",
			words: []string{"self-signed certificate", "self signed certificate", "self_signed_cert", "unable to get local issuer", "unable to get issuer", "unable to verify the first certificate", "unable_to_verify_leaf", "unable_to_get_issuer", "signed by unknown authority", "pkix path building failed", "unable to find valid certification path", "alert number 48", "alert unknown ca"},
		},
		{
			title: "a client certificate is required or refused",
			means: "The server asks for a certificate of the client, and the client has none or one that the server does not accept.",
			fix:   "Give the client a certificate that the server's authority has signed, and check when it ends.",
			words: []string{"certificate required", "alert number 116", "peer did not return a certificate", "alert bad certificate", "alert number 42"},
		},
		{
			title: "client and server have no protocol or cipher in common", noise: true,
			means: "One of the two was updated, or restricted to newer versions, and the other offers only older ones; or one of them does not speak TLS at all.",
			fix:   "Compare the versions and ciphers of both; look for an update on either side.",
			words: []string{"unsupported protocol", "unsupported versions", "alert protocol version", "wrong version number", "no shared cipher", "no cipher suites in common", "no protocols available", "no supported versions satisfy", "no application protocol", "handshake_failure", "alert handshake failure", "alert number 40", "alert number 70"},
		},
	}
}

// subject is what a line about TLS speaks of, in one spelling or another.
func subject() []string {
	return []string{"tls", "ssl", "cert", "handshake", "x509", "pkix", "certification path"}
}

// classOf is the index of the reason that a text names, -1 if it names none.
func classOf(all []class, text string) int {
	low := strings.ToLower(text)
	if !slices.ContainsFunc(subject(), func(w string) bool { return strings.Contains(low, w) }) {
		return -1
	}
	return slices.IndexFunc(all, func(c class) bool {
		return slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(low, w) })
	})
}

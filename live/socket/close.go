package socket

// Close codes: 4xxx as graphql-transport-ws has them, the others as RFC 6455 and IANA's registry have them. The npm
// client graphql-ws does not reconnect after 4400, 4401, 4409, 4429, 1007, 1009, 1011; it does after 4403, 4408, 1012, 1013.
const (
	codeNoStatus     = 1006 // never sent: the peer went without a close frame
	codeProtocol     = 1002
	codeBadText      = 1007
	codeTooBig       = 1009
	codeInternal     = 1011
	codeRestart      = 1012
	codeTryLater     = 1013
	codeBadMessage   = 4400
	codeUnauthorized = 4401
	codeForbidden    = 4403
	codeInitTimeout  = 4408
	codeDuplicate    = 4409
	codeSecondInit   = 4429
)

// WebSocket opcodes of what the writer sends, each with the FIN bit.
const (
	frameText  = 0x81
	frameClose = 0x88
	framePing  = 0x89
	framePong  = 0x8a
)

// maxReason is what a control frame of at most 125 bytes leaves for a close reason.
const maxReason = 123

// closeFrame is an unmasked close frame.
func closeFrame(code int, reason string) []byte {
	reason = truncate(reason, maxReason)
	return append([]byte{frameClose, byte(2 + len(reason)), byte(code >> 8), byte(code)}, reason...)
}

// textHeader is the header of an unmasked, unfragmented text frame of n bytes, with room for extra more bytes behind it.
func textHeader(n, extra int) []byte {
	b := make([]byte, 0, 10+extra)
	switch {
	case n < 126:
		return append(b, frameText, byte(n))
	case n < 1<<16:
		return append(b, frameText, 126, byte(n>>8), byte(n))
	}
	b = append(b, frameText, 127)
	for shift := 56; shift >= 0; shift -= 8 {
		b = append(b, byte(uint64(n)>>shift))
	}
	return b
}

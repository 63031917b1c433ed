package localshadow

import (
	"fmt"
	"strconv"
)

// Rejection is the service's refusal of a request. It is an error; nothing was
// changed.
type Rejection struct {
	// Code is that of HTTP: 400, 404, 409, 413, 415, 429 or 500.
	Code    int
	Message string
	// Token is the JSON text of the request's clientToken; "" when there was
	// none that could be read.
	Token string
}

func reject(code int, format string, args ...any) *Rejection {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &Rejection{Code: code, Message: format}
}

// with adds the token of the request.
func (r *Rejection) with(token string) *Rejection {
	r.Token = token
	return r
}

// Error returns the service's message.
func (r *Rejection) Error() string { return r.Message }

// ErrorType is the name that the REST API and the SDKs have for the rejection
// (AWS: IoT data plane API, common errors).
func (r *Rejection) ErrorType() string {
	switch r.Code {
	case 403:
		return "ForbiddenException"
	case 404:
		return "ResourceNotFoundException"
	case 409:
		return "ConflictException"
	case 413:
		return "RequestEntityTooLargeException"
	case 415:
		return "UnsupportedDocumentEncodingException"
	case 429:
		return "ThrottlingException"
	case 500:
		return "InternalFailureException"
	}
	return "InvalidRequestException"
}

// JSON returns the error response document (AWS: device-shadow-document, "Error
// response document"). now is in Unix seconds.
func (r *Rejection) JSON(now int64) []byte {
	b := append([]byte(`{"code":`), strconv.Itoa(r.Code)...)
	b = append(b, `,"message":`...)
	b = appendString(b, r.Message)
	if r.Code != 404 && r.Code != 409 {
		b = append(b, `,"timestamp":`...)
		b = strconv.AppendInt(b, now, 10)
	}
	b = appendToken(b, r.Token)
	return append(b, '}')
}

func appendToken(b []byte, token string) []byte {
	if token == "" {
		return b
	}
	return append(append(b, `,"clientToken":`...), token...)
}

// appendString writes a text as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range s {
		b = appendRune(b, c)
	}
	return append(b, '"')
}

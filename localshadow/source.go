package localshadow

// Source says who changed a shadow. This package does not interpret it.
type Source struct {
	Kind   string `json:"kind"`             // device, function, gpio, operator, cloud, gateway
	Name   string `json:"name,omitempty"`   // thing of the device, function, user of the operator
	Detail string `json:"detail,omitempty"` // e.g. the SHA-256 fingerprint of the device's certificate
}

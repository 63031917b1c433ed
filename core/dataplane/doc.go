// Package dataplane is the AWS IoT data plane over HTTPS: publish, shadows and
// retained messages, as the plain `iot-data` clients of the AWS SDKs speak it
// (AWS, "AWS IoT Data Plane", API version 2015-05-28).
//
// It owns the REST API: paths, parameters, heads, errors, and the bounds of one
// client. It keeps nothing and judges nothing: who may do what, and what became
// of it, say the interfaces of Options. It knows neither TLS nor certificates:
// who listens tells it from whom a request comes.
//
// Only cmd imports this package. New starts nothing, and there is nothing to
// run. A Handler may be used from any goroutine.
package dataplane

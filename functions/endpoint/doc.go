// Package endpoint is the door of one instance of a local function. On one port
// of the loopback interface it speaks what the code of a function expects:
//
//   - the AWS Lambda Runtime API, version 2018-06-01, over which a runtime client
//     takes its calls and answers them (AWS, "Using the Lambda runtime API for
//     custom runtimes"; what that leaves open is as in AWS's own emulator);
//   - the AWS IoT data plane, whose requests carry Signature Version 4 (AWS,
//     "AWS Signature Version 4 for API requests") under keys of this instance;
//   - the local calls of Greengrass V1, which greengrasssdk makes.
//
// It also holds the shims: Python packages that greengrasssdk wants beside it,
// and small runtimes for Python and Node.
//
// The two requests of a call, as runtime clients write them, are served in the
// goroutine of their connection; net/http serves all others, and all that comes
// after one of those on the same connection.
//
// Who may come in is asked once per connection: a process of the instance. The
// door keeps no calls and judges no topic: Calls and Home do.
//
// Only functions imports this package. New listens and starts nothing; Run
// serves until its context ends. An Endpoint may be used from any goroutine.
package endpoint

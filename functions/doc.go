// Package functions owns the local functions: unmodified AWS Lambda code that the
// gateway starts, feeds with what the table routes to `function:NAME`, and keeps from
// harming anything else. It starts processes through functions/sandbox and speaks to
// them through functions/endpoint; the rest is here: queues, the life of instances,
// timeouts, retries, the schedule, the calls that must survive a crash, their
// quarantine, and what functions write. It imports core/message, core/sqlite and these
// two; only cmd imports it, and configs for Config.
//
// # What it holds to
//
// Each call that Put took is settled exactly once by Options.Settled, in this run or,
// if it is durable, in a later one. A durable call leaves the disk when the function
// has answered it, when it went to quarantine, or when the bound of its queue gave it
// up: so it may be made more than once, and then has the same request id.
//
// A pinned function has one instance and gets its calls in order, one at a time; a call
// that failed is tried again before the next. Other functions have as many instances as
// their calls need, up to their concurrency, and no order.
//
// A call fails when the function says so, exits, or takes longer than its timeout,
// which ends the instance. It is tried again Config.Retries times with growing pauses;
// then a durable one goes to quarantine and another is dropped. An instance that ends
// unasked is started again after a pause that grows from 0.1 s to a minute. Calls wait
// meanwhile: that a function does not start is no fault of theirs.
//
// # Concurrency
//
// All methods of a Manager may be called from any goroutine. Each function has a
// goroutine that starts instances and keeps its times, and each instance one that
// waits for its end; function.mu guards what they share. A warm call runs on the
// goroutines of its publisher and of the instance's requests, and starts none.
package functions

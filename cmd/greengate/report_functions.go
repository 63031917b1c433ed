package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"greengate/configs"
	"greengate/core/admin"
	"greengate/core/admin/client"
	"greengate/functions/sandbox"
)

// reportFunctions tells how the functions are.
func (g *gateway) reportFunctions(s *client.Status) { s.Functions = g.functions.list() }

// reportFunctionFaults tells what is wrong with them.
func (g *gateway) reportFunctionFaults(s *client.Status) {
	for _, f := range g.functions.manager.Faults() {
		s.Faults = append(s.Faults, client.Fault{
			Component: "function", Message: strings.TrimPrefix(f.Function+": "+f.Message, ": "), NextStep: f.NextStep, Since: given(f.Since),
		})
	}
}

// list returns the functions in the order of the file.
func (h *host) list() []client.Function {
	limits := map[string]int64{}
	for _, c := range h.g.current().config.Functions {
		limits[c.Name] = c.Memory
	}
	var list []client.Function
	for _, s := range h.manager.Stats() {
		f := client.Function{
			Name: s.Name, Pinned: s.Pinned, State: string(s.State), Instances: s.Instances,
			Queued: s.Queued, QueuedBytes: s.QueuedBytes, Running: s.Running, Durable: s.Durable,
			Calls: s.Calls, Errors: s.Errors, Timeouts: s.Timeouts, Retries: s.Retries, Restarts: s.Restarts,
			Dropped: s.Dropped, Skipped: s.Skipped, Refused: s.Refused, ReplyErrors: s.ReplyErrors, Quarantined: s.Quarantined,
			LastError: s.Last, P50: milliseconds(s.P50), P99: milliseconds(s.P99), Max: milliseconds(s.Max),
			MemoryBytes: s.Memory, MemoryLimit: limits[s.Name], LogsDropped: s.LogsDropped,
			LastErrorAt: given(s.LastAt), NextStart: given(s.NextStart), NextTime: given(s.NextTime),
		}
		list = append(list, f)
	}
	return list
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// given is a time, or nil when there is none.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// isolation is what closes functions in, in the words of the control socket.
func isolation(c sandbox.Confinement) client.Isolation {
	return client.Isolation{
		Landlock: c.Landlock, Namespace: c.Namespace, Seccomp: c.Seccomp, Cgroup: c.Cgroup,
		Missing: append([]string{}, c.Missing...),
	}
}

// writeFunctions is the view of functions for a person.
func writeFunctions(out io.Writer, list []client.Function) error {
	if len(list) == 0 {
		return nil
	}
	fmt.Fprintln(out, "\nfunctions")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  NAME\tSTATE\tINSTANCES\tCALLS\tERRORS\tWAITING\tP50\tP99\tMAX\tMEMORY")
	for i := range list {
		f := &list[i]
		fmt.Fprintf(w, "  %s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", f.Name, f.State, f.Instances, f.Calls, f.Errors, f.Queued+f.Running,
			shortSpan(f.P50), shortSpan(f.P99), shortSpan(f.Max), functionMemory(f))
	}
	return w.Flush()
}

// shortSpan writes milliseconds with three digits, or all that are before the point.
func shortSpan(ms float64) string {
	if ms == 0 {
		return "-"
	}
	if ms >= 999.5 { // which %.3g writes as 1e+03
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.3g ms", ms)
}

func functionMemory(f *client.Function) string {
	if f.Instances == 0 || f.MemoryBytes < 0 {
		return "-"
	}
	limit := size(f.MemoryLimit)
	if f.Instances > 1 { // each may have so much
		limit = fmt.Sprintf("%d * %s", f.Instances, limit)
	}
	return size(f.MemoryBytes) + " of " + limit
}

// The figures of functions.
var (
	functionUp          = &admin.Metric{Name: "greengate_function_instances", Labels: []string{"function"}, Help: "Instances of a function that run."}
	functionCalls       = &admin.Metric{Name: "greengate_function_calls_total", Counter: true, Labels: []string{"function", "result"}, Help: "Calls of a function that were answered, and tries that failed."}
	functionWaiting     = &admin.Metric{Name: "greengate_function_calls_waiting", Labels: []string{"function"}, Help: "Calls that wait for an instance of a function."}
	functionDurable     = &admin.Metric{Name: "greengate_function_durable_calls", Labels: []string{"function"}, Help: "Calls of a function that are on the disk."}
	functionTime        = &admin.Metric{Name: "greengate_function_duration_seconds", Labels: []string{"function", "percentile"}, Help: "Time that the answered calls of a function took; 100 is the longest."}
	functionMemoryUsed  = &admin.Metric{Name: "greengate_function_memory_bytes", Labels: []string{"function"}, Help: "Memory of all instances of a function."}
	functionMemoryLimit = &admin.Metric{Name: "greengate_function_memory_limit_bytes", Labels: []string{"function"}, Help: "Memory that an instance of a function may use."}
	functionRestarts    = &admin.Metric{Name: "greengate_function_restarts_total", Counter: true, Labels: []string{"function"}, Help: "Instances of a function that ended unasked."}
	functionGivenUp     = &admin.Metric{Name: "greengate_function_dropped_total", Counter: true, Labels: []string{"function"}, Help: "Calls of a function that the bound of its queue gave up."}
	functionAside       = &admin.Metric{Name: "greengate_function_quarantined_calls", Labels: []string{"function"}, Help: "Calls in quarantine."}
	functionSkipped     = &admin.Metric{Name: "greengate_function_schedule_skipped_total", Counter: true, Labels: []string{"function"}, Help: "Times of the schedule at which the last call of a function still waited."}
	functionRefused     = &admin.Metric{Name: "greengate_function_refused_total", Counter: true, Labels: []string{"function"}, Help: "Requests of the instances of a function that were refused at their endpoint."}
	functionReplies     = &admin.Metric{Name: "greengate_function_reply_errors_total", Counter: true, Labels: []string{"function"}, Help: "Answers of a function that could not be published."}
	functionLinesLost   = &admin.Metric{Name: "greengate_function_log_lines_dropped_total", Counter: true, Labels: []string{"function"}, Help: "Lines of a function that its rate did not let through."}
)

// collectFunctions hangs the figures of functions on the page.
func (g *gateway) collectFunctions(*configs.Config) error {
	if g.page != nil {
		g.page.Collect(g.functionFigures)
	}
	return nil
}

// functionFigures are those of each function of the file: the file bounds how many.
func (g *gateway) functionFigures(emit admin.Emit) {
	for _, f := range g.functions.list() {
		name := f.Name
		emit(functionUp, float64(f.Instances), name)
		emit(functionCalls, float64(f.Calls-f.Errors), name, "answered")
		emit(functionCalls, float64(f.Errors-f.Timeouts), name, "failed")
		emit(functionCalls, float64(f.Timeouts), name, "timeout")
		emit(functionWaiting, float64(f.Queued), name)
		emit(functionDurable, float64(f.Durable), name)
		for percentile, ms := range map[string]float64{"50": f.P50, "99": f.P99, "100": f.Max} {
			emit(functionTime, ms/1000, name, percentile)
		}
		if f.MemoryBytes >= 0 {
			emit(functionMemoryUsed, float64(f.MemoryBytes), name)
		}
		emit(functionMemoryLimit, float64(f.MemoryLimit), name)
		emit(functionRestarts, float64(f.Restarts), name)
		emit(functionGivenUp, float64(f.Dropped), name)
		emit(functionAside, float64(f.Quarantined), name)
		emit(functionSkipped, float64(f.Skipped), name)
		emit(functionRefused, float64(f.Refused), name)
		emit(functionReplies, float64(f.ReplyErrors), name)
		emit(functionLinesLost, float64(f.LogsDropped), name)
	}
	g.functionDataFigures(emit)
}

var (
	functionDataServed  = &admin.Metric{Name: "greengate_function_data_plane_served_total", Counter: true, Labels: []string{"operation"}, Help: "Data plane requests of functions that were carried out."}
	functionDataRefused = &admin.Metric{Name: "greengate_function_data_plane_refused_total", Counter: true, Labels: []string{"error"}, Help: "Data plane requests of functions that were not carried out."}
)

func (g *gateway) functionDataFigures(emit admin.Emit) {
	data := g.functions.data.Stats()
	for operation, n := range data.Served {
		emit(functionDataServed, float64(n), operation)
	}
	for what, n := range data.Refused {
		emit(functionDataRefused, float64(n), what)
	}
}

package fact

// Builtin returns a zero value of each type of fact in this package, in the order
// of their kinds. It is what tools use that work on any kind: user rules, schemas,
// documentation.
func Builtin() []Fact {
	return []Fact{
		Account{}, AuditEvent{}, AuditStatus{}, AuditTrail{}, Baseline{}, Capture{}, ClusterEvent{}, CommandRun{}, Container{}, Counter{}, DNSFailure{}, Deviation{}, Dump{},
		Expected{}, Filesystem{}, Flow{}, Goroutine{}, GoroutineGroup{}, HostInfo{}, ICMPError{}, KernelEvent{}, Limit{},
		Log{}, LogEvent{}, LogShape{}, Metric{}, OpenFile{}, Process{}, ProcessTable{}, Profile{},
		ProfileSite{}, Socket{}, SocketTable{}, SourceCall{}, Thread{}, Trace{},
	}
}

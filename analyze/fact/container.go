package fact

// Container is one container as Kubernetes or a container runtime describes it, or
// a whole pod where only that is known.
type Container struct {
	At Ref `json:"-"`
	// Namespace and Pod are empty for a container without an orchestrator. Name is
	// empty in a table of pods.
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Name      string `json:"name,omitempty"`
	// Node is the host it runs on, ID the runtime's (without "containerd://").
	Node  string `json:"node,omitempty"`
	ID    string `json:"id,omitempty"`
	Image string `json:"image,omitempty"`
	// State is running, waiting or terminated; Reason why, in the source's word:
	// CrashLoopBackOff, Completed, Evicted. Message is what it says about that.
	State   string `json:"state,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Since is when the state began.
	Since Time `json:"-"`
	// Restarts counts how often it was started again; LastRestartS is how many
	// seconds ago the last time was, where only a table says so.
	Restarts     Int `json:"restarts,omitzero"`
	LastRestartS Int `json:"last_restart_s,omitzero"`
	// End is how it ended the last time, nil if it never did or nothing says so.
	End *ContainerEnd `json:"end,omitempty"`
	// MemoryLimit is as printed: 256Mi.
	MemoryLimit string `json:"memory_limit,omitempty"`
	// Init is true for a container that must end before the others start.
	Init bool `json:"init,omitempty"`
}

// ContainerEnd is how a container ended.
type ContainerEnd struct {
	At Ref `json:"-"`
	// Reason is the runtime's word: OOMKilled, Error, Completed.
	Reason   string `json:"reason,omitempty"`
	Message  string `json:"message,omitempty"`
	ExitCode Int    `json:"exit_code,omitzero"`
	Started  Time   `json:"-"`
	Finished Time   `json:"-"`
}

// Kind is "container".
func (Container) Kind() Kind { return "container" }

// Ref is the line with its name, or its row.
func (c Container) Ref() Ref { return c.At }

// ClusterEvent is an event of Kubernetes: what a component did to an object, or saw.
type ClusterEvent struct {
	At Ref `json:"-"`
	// Type is Normal or Warning, Reason one word: Killing, Unhealthy, BackOff.
	Type   string `json:"type,omitempty"`
	Reason string `json:"reason"`
	// Object is its kind in lower case and its name, "pod/cart-7d9f"; Container the
	// container of a pod, if the event names one.
	Namespace string `json:"namespace,omitempty"`
	Object    string `json:"object,omitempty"`
	Container string `json:"container,omitempty"`
	// From is the component that reports it.
	From    string `json:"from,omitempty"`
	Message string `json:"message"`
	// Count is how often it happened; AgeS how many seconds ago the last time was,
	// where the source prints ages instead of times.
	Count Int `json:"count,omitzero"`
	AgeS  Int `json:"age_s,omitzero"`
	// Time is the last time, First the first.
	Time
	First Time `json:"-"`
}

// Kind is "cluster_event".
func (ClusterEvent) Kind() Kind { return "cluster_event" }

// Ref is the row, or the line with its reason.
func (e ClusterEvent) Ref() Ref { return e.At }

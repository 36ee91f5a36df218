package store

// Queue is one of the purposes of the lanes.
type Queue string

// The queues.
const (
	QueueInbound  Queue = "INBOUND"
	QueueOutbound Queue = "OUTBOUND"
	QueueJob      Queue = "JOB"
)

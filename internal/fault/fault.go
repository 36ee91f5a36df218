// Package fault names the moments at which a process may die while it carries a message, so that a test can kill it at each of them and look
// at what is left. In a build without the tag "faults" Hit does nothing and costs nothing. With the tag, the variable OCHRE_FAULT=name, or
// name:n, ends the process by SIGKILL when it comes to that point for the first or the n-th time: no deferred call runs, no buffer is flushed.
package fault

// Point is a moment in the way of a message.
type Point string

// The points, in the order of the way in and then of the way out.
const (
	BeforeInsert  Point = "before_insert"  // a Slack event was read and is not stored
	AfterInsert   Point = "after_insert"   // it is stored and Slack has no answer yet
	AfterAck      Point = "after_ack"      // Slack has its 200, nothing was applied
	BeforePublish Point = "before_publish" // a change is committed and nobody was told
	AfterClaim    Point = "after_claim"    // a reply is claimed and not posted
	AfterPost     Point = "after_post"     // Slack has answered the post, the answer is not stored
)

// All holds every point, for tests that go through them.
var All = []Point{BeforeInsert, AfterInsert, AfterAck, BeforePublish, AfterClaim, AfterPost}

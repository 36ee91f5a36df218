package desk

import (
	"encoding/json"
	"fmt"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/store"
)

// The jobs that an event can leave behind; nothing waits for them.
const (
	JobProfile = "PROFILE" // users.info of IdentityID
	JobNames   = "NAMES"   // users.info of Users, then MessageID is rendered anew
	JobFiles   = "FILES"   // files.info of the pending files of MessageID
	JobRoot    = "ROOT"    // the root of ThreadID
	JobPlace   = "PLACE"   // IdentityID became known better: decide anew what it is in each thread
)

// Job is the payload of an item of the job queue, as JSON.
type Job struct {
	IdentityID     *ochre.ID `json:"identityId,omitempty"`
	InstallationID *ochre.ID `json:"installationId,omitempty"`
	MessageID      *ochre.ID `json:"messageId,omitempty"`
	ThreadID       *ochre.ID `json:"threadId,omitempty"`
	LinkID         ochre.ID  `json:"linkId"`
	Users          []string  `json:"users,omitempty"`
}

func (rc *receiving) job(kind, key string, j Job) error {
	j.LinkID = rc.link.ID
	return enqueueJob(rc.tx, kind, key, j)
}

func enqueueJob(tx *store.Tx, kind, key string, j Job) error {
	payload, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("encode a job: %w", err)
	}
	tx.Enqueue(store.NewItem{Queue: store.QueueJob, Key: key, Kind: kind, Payload: payload})
	return nil
}

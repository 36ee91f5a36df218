package slackbridge

import (
	"context"
	"time"

	"github.com/ochrehq/ochre/store"
)

// noteTraffic keeps what the links' counters will get. They are written once a period and not with each event: many events of one link would
// otherwise wait for one another, and the numbers are worth no promise. Of a process that is killed, the last period's are lost.
func (b *Inbox) noteTraffic(rs []store.Reception) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range rs {
		for _, l := range r.Links {
			b.keepTraffic(l)
		}
	}
}

// keepTraffic adds to what is kept. b.mu is held.
func (b *Inbox) keepTraffic(l store.LinkTraffic) {
	had, ok := b.traffic[l.LinkID]
	if !ok && len(b.traffic) >= maxTraffic {
		return
	}
	l.Dropped += had.Dropped
	if had.LastAt.After(l.LastAt) {
		l.LastAt = had.LastAt
	}
	b.traffic[l.LinkID] = l
}

// flushTraffic writes what was kept. What can't be written is kept for the next time.
func (b *Inbox) flushTraffic(ctx context.Context) {
	b.mu.Lock()
	links := make([]store.LinkTraffic, 0, len(b.traffic))
	for _, l := range b.traffic {
		links = append(links, l)
	}
	clear(b.traffic)
	b.mu.Unlock()
	if len(links) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := b.Store.NoteTraffic(ctx, links); err != nil {
		b.Log.Warn("the counters of the channel links were not written; they are tried again", "error", err)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, l := range links {
			b.keepTraffic(l)
		}
	}
}

package resolvers

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/ochrehq/ochre"
)

// TestLoadersGather lets many siblings ask at once: one read serves all of them.
func TestLoadersGather(t *testing.T) {
	t.Parallel()
	var reads [][]ochre.ID
	tenant, missing := ochre.NewID(), ochre.NewID()
	l := newLoader(tenant, func(_ context.Context, got ochre.ID, ids []ochre.ID) (map[ochre.ID]*ochre.Agent, error) {
		if got != tenant {
			t.Errorf("read for tenant %s", got)
		}
		reads = append(reads, ids)
		found := map[ochre.ID]*ochre.Agent{}
		for _, id := range ids {
			if id != missing {
				found[id] = &ochre.Agent{ID: id}
			}
		}
		return found, nil
	})
	ids := []ochre.ID{missing, ochre.NewID(), ochre.NewID(), ochre.NewID()}
	ids = append(ids, ids...)
	thunks := make([]func() (*ochre.Agent, error), len(ids))
	for i, id := range ids {
		thunks[i] = l.LoadThunk(t.Context(), id)
	}
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			a, err := thunks[i]()
			if err != nil || (a == nil) != (id == missing) || a != nil && a.ID != id {
				t.Errorf("%s: %v, %v", id, a, err)
			}
		})
	}
	all.Wait()
	if len(reads) != 1 || len(reads[0]) != 4 {
		t.Errorf("%d things took reads of %v", len(ids), reads)
	}
}

func TestLoadersFail(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	l := newLoader(ochre.NewID(), func(context.Context, ochre.ID, []ochre.ID) (map[ochre.ID]*ochre.Agent, error) { return nil, down })
	id := ochre.NewID()
	if _, err := load(t.Context(), l, &id); !errors.Is(err, down) {
		t.Errorf("a failed read: %v", err)
	}
	if v, err := load(t.Context(), l, nil); v != nil || err != nil {
		t.Errorf("nothing to read: %v, %v", v, err)
	}
}

package slackbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ochrehq/ochre"
	"github.com/ochrehq/ochre/desk"
	"github.com/ochrehq/ochre/slackbridge/richtext"
	"github.com/ochrehq/ochre/store"
)

// Tries of jobs, after which they become dead letters, and of a file that Slack goes on hiding.
const (
	jobTries  = 12
	fileTries = 6
)

// Jobs does what events leave behind: nothing that an agent waits for waits for it.
type Jobs struct {
	Desk     *desk.Desk
	Client   *Client
	Channels *Channels
	Log      *slog.Logger
}

// Runner gives the runner of the job queue.
func (j *Jobs) Runner(st *store.Store, workers int) *store.Runner {
	return &store.Runner{
		Store: st, Queue: store.QueueJob, Workers: workers, Lease: 60 * time.Second, Poll: 300 * time.Millisecond, Now: j.Desk.Now, Handle: j.Handle, Log: j.Log,
	}
}

// errLater puts a job off without a failure.
var errLater = errors.New("not yet")

// Handle does one job; see store.Runner.
func (j *Jobs) Handle(ctx context.Context, c store.Claim, it store.Item) store.Verdict {
	jctx, cancel := context.WithTimeout(ctx, 45*time.Second)
	defer cancel()
	err := j.do(jctx, c, it)
	if err == nil {
		return store.Verdict{}
	}
	switch out := OutcomeOf(err); out.Kind {
	case RateLimited:
		return store.Verdict{Wait: true, RetryAfter: out.RetryAfter}
	case Disconnected:
		if it.Kind == store.ItemWorkspace {
			// The installation is marked by now, so that the next try asks nothing of Slack. Behind it in the lane may be the event that tells of the end.
			return store.Verdict{Wait: true, RetryAfter: time.Second}
		}
		return store.Verdict{Wait: true, RetryAfter: time.Minute}
	}
	return store.Verdict{Err: err, RetryAfter: store.Backoff(it.Attempts), Dead: it.Attempts+1 >= jobTries && !store.IsUnavailable(err)}
}

func (j *Jobs) do(ctx context.Context, c store.Claim, it store.Item) error {
	if it.Kind == store.ItemWorkspace {
		return j.workspaceEvent(ctx, c, it)
	}
	var job desk.Job
	if err := json.Unmarshal(it.Payload, &job); err != nil {
		return fmt.Errorf("decode a job: %w", err)
	}
	if it.Kind == desk.JobAgents || it.Kind == desk.JobEnter {
		return j.ofInstallation(ctx, c, it, *job.InstallationID)
	}
	r, err := receipt(ctx, j.Desk.Store, c, it, job.LinkID)
	if err != nil && it.Kind != desk.JobPlace {
		return err
	}
	switch it.Kind {
	case desk.JobProfile:
		err = j.profile(ctx, r, *job.IdentityID)
	case desk.JobNames:
		err = j.names(ctx, r, job)
	case desk.JobFiles:
		err = j.files(ctx, r, *job.MessageID)
	case desk.JobRoot:
		return j.root(ctx, r, *job.ThreadID)
	case desk.JobPlace:
		err = j.Desk.PlaceIdentity(ctx, c.TenantID, *job.IdentityID)
	default:
		err = fmt.Errorf("no such kind of job: %s", it.Kind)
	}
	if err != nil {
		return err
	}
	return j.Desk.FinishJob(ctx, c, it)
}

func (j *Jobs) workspaceEvent(ctx context.Context, c store.Claim, it store.Item) error {
	w, err := ParseWorkspaceEvent(it.Payload)
	if err != nil {
		return err
	}
	err = j.Channels.Handle(ctx, w)
	if err != nil {
		return err
	}
	return j.Desk.FinishJob(ctx, c, it)
}

// profile looks up who an author is. That Slack does not know or show the person is an answer too.
func (j *Jobs) profile(ctx context.Context, r desk.Receipt, identity ochre.ID) error {
	known, err := j.Desk.Store.IdentitiesByID(ctx, r.Claim.TenantID, []ochre.ID{identity})
	if err != nil || known[identity] == nil {
		return err // it became one with another
	}
	p, err := j.user(ctx, r.Installation, known[identity].SlackUserID)
	if err != nil {
		return err
	}
	_, err = j.Desk.SaveProfile(ctx, r.Claim.TenantID, identity, r.Installation.SlackTeamID, *p)
	return err
}

func (j *Jobs) user(ctx context.Context, inst *ochre.SlackInstallation, id string) (*desk.Profile, error) {
	u, err := j.Client.User(ctx, inst, id)
	if out := OutcomeOf(err); out.Kind == Permanent {
		return &desk.Profile{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &desk.Profile{SlackTeamID: u.SlackTeamID, Name: u.Name, AvatarURL: u.AvatarURL, Email: u.Email, IsBot: u.IsBot}, nil
}

// ofInstallation does a job of a whole installation. There is nothing to do for one that is cut off: being connected again brings new jobs.
func (j *Jobs) ofInstallation(ctx context.Context, c store.Claim, it store.Item, installation ochre.ID) error {
	inst, err := j.Desk.Store.SlackInstallation(ctx, c.TenantID, installation)
	if err == nil && inst.Connected {
		if it.Kind == desk.JobAgents {
			err = j.agents(ctx, inst)
		} else {
			err = j.Channels.Enter(ctx, inst)
		}
	}
	if err != nil {
		return err
	}
	return j.Desk.FinishJob(ctx, c, it)
}

// agents finds the tenant's agents among the people of our own workspace by email, so that replies show their Slack picture and what
// they write in Slack is known for theirs.
func (j *Jobs) agents(ctx context.Context, inst *ochre.SlackInstallation) error {
	missing, err := j.Desk.Store.AgentsWithoutIdentity(ctx, inst.TenantID, inst.SlackTeamID)
	if err != nil {
		return err
	}
	for _, a := range missing {
		u, err := j.Client.UserByEmail(ctx, inst, a.Email)
		switch out := OutcomeOf(err); {
		case out.Kind == Permanent:
			continue // nobody there has this email, or we may not ask
		case err != nil:
			return err
		case u.SlackTeamID != inst.SlackTeamID || u.IsBot:
			continue
		}
		p := desk.Profile{SlackTeamID: u.SlackTeamID, Name: u.Name, AvatarURL: u.AvatarURL, Email: u.Email}
		if err := j.Desk.FoundAgent(ctx, inst, a.ID, u.SlackUserID, p); err != nil {
			return err
		}
	}
	return nil
}

// names looks up people whom a message mentions, then renders the message anew.
func (j *Jobs) names(ctx context.Context, r desk.Receipt, job desk.Job) error {
	for _, id := range job.Users {
		p, err := j.user(ctx, r.Installation, id)
		if err != nil {
			return err
		}
		if p.Name == "" || p.SlackTeamID == "" {
			continue
		}
		if err := j.Desk.Meet(ctx, r.Link, r.Installation, id, *p); err != nil {
			return err
		}
	}
	m, err := j.Desk.Store.Message(ctx, r.Claim.TenantID, *job.MessageID)
	if err != nil || m.Original == nil {
		return err
	}
	var src struct {
		Text                       string
		Blocks, Attachments, Files json.RawMessage
	}
	if err := json.Unmarshal(m.Original, &src); err != nil {
		return fmt.Errorf("decode a message's original: %w", err)
	}
	body := richtext.ToMarkdown(richtext.Source(src), storedNames{ctx, j.Desk.Store, r.Claim.TenantID})
	return j.Desk.Rerender(ctx, m, body)
}

// files looks up the files of which an event told only the id, as those of Slack Connect channels do.
func (j *Jobs) files(ctx context.Context, r desk.Receipt, message ochre.ID) error {
	as, err := j.Desk.Store.Attachments(ctx, r.Claim.TenantID, message)
	if err != nil {
		return err
	}
	again := false
	for i := range as {
		a := &as[i]
		if a.State != ochre.AttachmentPending {
			continue
		}
		f, err := j.Client.File(ctx, r.Installation, a.SlackFileID)
		if err != nil {
			return err
		}
		if f.State == ochre.AttachmentPending {
			if r.Item.Attempts+1 < fileTries {
				again = true
				continue
			}
			f.State = ochre.AttachmentDenied
		}
		a.State, a.Name, a.MimeType, a.SlackURL = f.State, text(f.Name), text(f.MimeType), text(f.URL)
		if f.State == ochre.AttachmentAvailable {
			a.Size = &f.Size
		}
		if err := j.Desk.SaveFile(ctx, message, a); err != nil {
			return err
		}
	}
	if again {
		return errLater
	}
	return nil
}

func text(s string) *string {
	if s = clean(s); s == "" {
		return nil
	}
	return &s
}

// root fetches the message that a thread hangs on, if it has not come by itself, and applies it as an event.
func (j *Jobs) root(ctx context.Context, r desk.Receipt, thread ochre.ID) error {
	t, err := j.Desk.Store.Thread(ctx, r.Claim.TenantID, thread)
	if err != nil {
		return err
	}
	if t.RootKnown {
		return j.Desk.FinishJob(ctx, r.Claim, r.Item)
	}
	raw, err := j.Client.ThreadRoot(ctx, r.Installation, r.Link.SlackChannelID, t.ThreadTS)
	if out := OutcomeOf(err); out.Kind == Permanent {
		return j.Desk.FinishJob(ctx, r.Claim, r.Item) // it is gone, or not ours to see
	}
	if err != nil {
		return err
	}
	ev, drop := TranslateMessage(raw, linkContext(r), storedNames{ctx, j.Desk.Store, r.Claim.TenantID})
	_, err = receive(ctx, j.Desk, r, ev, drop)
	return err
}

-- +goose Up

-- Every table of a tenant has tenant_id in its key, and every reference to another table carries it: the database itself refuses a
-- reference across tenants.

-- One row: the epoch of the event log. It is changed by hand after a restore from a backup, so that older cursors get a Gap.
CREATE TABLE log_epoch (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch    text NOT NULL
);
INSERT INTO log_epoch (epoch) VALUES (substr(replace(gen_random_uuid()::text, '-', ''), 1, 12));

CREATE TABLE tenants (
  id         uuid PRIMARY KEY,
  name       text NOT NULL CHECK (name <> ''),
  created_at timestamptz NOT NULL
);

-- The contiguous counter of a tenant's events, and that of its conversation numbers. Apart, since the one is taken at the very end of a
-- transaction and the other in a short one of its own.
CREATE TABLE event_counters (
  tenant_id uuid PRIMARY KEY REFERENCES tenants,
  seq       bigint NOT NULL DEFAULT 0,
  oldest    bigint NOT NULL DEFAULT 1 -- the smallest seq that is still in the log
);
CREATE TABLE number_counters (
  tenant_id uuid PRIMARY KEY REFERENCES tenants,
  number    integer NOT NULL DEFAULT 0
);

CREATE TABLE events (
  tenant_id       uuid NOT NULL REFERENCES tenants,
  seq             bigint NOT NULL,
  type            text NOT NULL,
  conversation_id uuid,
  object_kind     text NOT NULL DEFAULT '',
  object_id       uuid,
  actor_id        uuid,
  content         boolean NOT NULL DEFAULT false, -- a message's words changed (added, edited, deleted), not just its delivery or reactions
  at              timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, seq)
);
CREATE INDEX events_conversation ON events (tenant_id, conversation_id, seq);

CREATE TABLE agents (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  id         uuid NOT NULL,
  name       text NOT NULL CHECK (name <> ''),
  email      text NOT NULL CHECK (email <> ''),
  avatar_url text,
  role       text NOT NULL CHECK (role IN ('ADMIN', 'AGENT')),
  active     boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX agents_email ON agents (lower(email));
CREATE INDEX agents_name ON agents (tenant_id, name, id);

-- Only SHA-256 hashes of secrets that are 256 random bits.
CREATE TABLE api_tokens (
  tenant_id    uuid NOT NULL,
  id           uuid NOT NULL,
  agent_id     uuid NOT NULL,
  name         text NOT NULL,
  hash         bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
  created_at   timestamptz NOT NULL,
  last_used_at timestamptz,
  revoked_at   timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
);
CREATE TABLE signin_links (
  tenant_id  uuid NOT NULL,
  agent_id   uuid NOT NULL,
  hash       bytea PRIMARY KEY CHECK (length(hash) = 32),
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
);
-- Browser sessions (the key is a hash of the cookie); data is the session library's own encoding.
CREATE TABLE sessions (
  token  text PRIMARY KEY,
  data   bytea NOT NULL,
  expiry timestamptz NOT NULL
);
CREATE INDEX sessions_expiry ON sessions (expiry);

CREATE TABLE organizations (
  tenant_id   uuid NOT NULL REFERENCES tenants,
  id          uuid NOT NULL,
  external_id text,
  name        text NOT NULL CHECK (name <> ''),
  domain      text,
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, external_id)
);
CREATE INDEX organizations_name ON organizations (tenant_id, name, id);

CREATE TABLE end_users (
  tenant_id       uuid NOT NULL REFERENCES tenants,
  id              uuid NOT NULL,
  external_id     text,
  name            text NOT NULL CHECK (name <> ''),
  email           text,
  avatar_url      text,
  organization_id uuid,
  merged_into     uuid,
  created_at      timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, external_id),
  FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
  FOREIGN KEY (tenant_id, merged_into) REFERENCES end_users
);
-- An email names one person of an organization; of two organizations (or none) it may name two.
CREATE UNIQUE INDEX end_users_email ON end_users (tenant_id, organization_id, lower(email)) NULLS NOT DISTINCT
  WHERE email IS NOT NULL AND merged_into IS NULL;
CREATE INDEX end_users_name ON end_users (tenant_id, name, id);

CREATE TABLE teammates (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  id         uuid NOT NULL,
  name       text NOT NULL CHECK (name <> ''),
  avatar_url text,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE slack_identities (
  tenant_id       uuid NOT NULL REFERENCES tenants,
  id              uuid NOT NULL,
  slack_team_id   text NOT NULL,
  slack_user_id   text NOT NULL,
  is_external     boolean NOT NULL,
  is_bot          boolean NOT NULL DEFAULT false,
  name            text NOT NULL DEFAULT '',
  avatar_url      text,
  email           text,
  organization_id uuid,
  agent_id        uuid,
  teammate_id     uuid,
  end_user_id     uuid,
  profile_at      timestamptz,
  created_at      timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, slack_team_id, slack_user_id),
  FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents,
  FOREIGN KEY (tenant_id, teammate_id) REFERENCES teammates,
  FOREIGN KEY (tenant_id, end_user_id) REFERENCES end_users,
  CHECK (NOT (is_external AND agent_id IS NOT NULL)) -- a foreign workspace makes nobody an agent
);
CREATE INDEX slack_identities_user ON slack_identities (tenant_id, slack_user_id);
CREATE INDEX slack_identities_agent ON slack_identities (tenant_id, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX slack_identities_teammate ON slack_identities (tenant_id, teammate_id) WHERE teammate_id IS NOT NULL;
CREATE INDEX slack_identities_end_user ON slack_identities (tenant_id, end_user_id) WHERE end_user_id IS NOT NULL;

CREATE TABLE slack_installations (
  tenant_id           uuid NOT NULL REFERENCES tenants,
  id                  uuid NOT NULL,
  slack_team_id       text NOT NULL UNIQUE, -- a workspace belongs to one tenant
  team_name           text NOT NULL,
  team_url            text NOT NULL,
  app_id              text NOT NULL,
  bot_user_id         text NOT NULL,
  bot_id              text NOT NULL,
  scopes              text NOT NULL DEFAULT '[]', -- a JSON array
  token_sealed        bytea NOT NULL,
  connected           boolean NOT NULL,
  disconnected_reason text,
  installed_at        timestamptz NOT NULL,
  channels_refreshed  timestamptz,
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE oauth_states (
  hash         bytea PRIMARY KEY CHECK (length(hash) = 32), -- of the state
  tenant_id    uuid NOT NULL,
  agent_id     uuid NOT NULL,
  return_to    text NOT NULL,
  browser_hash bytea, -- of the cookie, once the page was opened
  created_at   timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  used_at      timestamptz,
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
);

CREATE TABLE slack_channels (
  tenant_id        uuid NOT NULL REFERENCES tenants,
  id               uuid NOT NULL,
  installation_id  uuid NOT NULL,
  slack_channel_id text NOT NULL,
  name             text NOT NULL,
  is_private       boolean NOT NULL,
  is_slack_connect boolean NOT NULL,
  is_bot_member    boolean NOT NULL,
  is_archived      boolean NOT NULL DEFAULT false,
  updated_at       timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, installation_id, slack_channel_id),
  FOREIGN KEY (tenant_id, installation_id) REFERENCES slack_installations
);
CREATE INDEX slack_channels_name ON slack_channels (tenant_id, installation_id, name, id);

CREATE TABLE channel_links (
  tenant_id          uuid NOT NULL REFERENCES tenants,
  id                 uuid NOT NULL,
  installation_id    uuid NOT NULL,
  slack_team_id      text NOT NULL,
  slack_channel_id   text NOT NULL,
  slack_channel_name text NOT NULL,
  is_slack_connect   boolean NOT NULL,
  organization_id    uuid,
  state              text NOT NULL CHECK (state IN ('WATCHING', 'PAUSED', 'DISCONNECTED', 'UNLINKED')),
  paused_before      boolean NOT NULL DEFAULT false,
  dropped_events     bigint NOT NULL DEFAULT 0,
  last_event_at      timestamptz,
  created_at         timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, installation_id) REFERENCES slack_installations,
  FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
  CHECK (NOT is_slack_connect OR organization_id IS NOT NULL OR state = 'UNLINKED')
);
CREATE UNIQUE INDEX channel_links_live ON channel_links (tenant_id, slack_channel_id) WHERE state <> 'UNLINKED';
CREATE INDEX channel_links_channel ON channel_links (slack_channel_id) WHERE state <> 'UNLINKED';
CREATE INDEX channel_links_created ON channel_links (tenant_id, created_at, id);

CREATE TABLE conversations (
  tenant_id        uuid NOT NULL REFERENCES tenants,
  id               uuid NOT NULL,
  version          integer NOT NULL,
  number           integer NOT NULL,
  title            text NOT NULL,
  preview          text NOT NULL,
  status           text NOT NULL CHECK (status IN ('OPEN', 'SNOOZED', 'CLOSED')),
  base_status      text NOT NULL CHECK (base_status IN ('OPEN', 'SNOOZED', 'CLOSED')), -- by hand or timer, at status_at; a later customer's message makes it OPEN
  status_at        timestamptz NOT NULL,
  snoozed_until    timestamptz,
  base_snoozed_until timestamptz, -- of a base_status SNOOZED: where a deletion takes back the customer's message that had woken it, it sleeps on
  priority         text NOT NULL CHECK (priority IN ('URGENT', 'HIGH', 'NORMAL', 'LOW')),
  waiting_on       text CHECK (waiting_on IN ('US', 'CUSTOMER')),
  waiting_since    timestamptz,
  assignee_id      uuid,
  organization_id  uuid,
  end_user_id      uuid,
  link_id          uuid NOT NULL,
  created_at       timestamptz NOT NULL,
  last_activity_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, number),
  FOREIGN KEY (tenant_id, assignee_id) REFERENCES agents,
  FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations,
  FOREIGN KEY (tenant_id, end_user_id) REFERENCES end_users,
  FOREIGN KEY (tenant_id, link_id) REFERENCES channel_links,
  CHECK ((status = 'SNOOZED') = (snoozed_until IS NOT NULL)),
  CHECK ((waiting_on IS NULL) = (waiting_since IS NULL))
);
CREATE INDEX conversations_activity ON conversations (tenant_id, last_activity_at, id);
CREATE INDEX conversations_status_activity ON conversations (tenant_id, status, last_activity_at, id);
CREATE INDEX conversations_created ON conversations (tenant_id, created_at, id);
-- Two, since the ones that wait for nobody come last in either direction.
CREATE INDEX conversations_waiting ON conversations (tenant_id, (COALESCE(waiting_since, 'infinity'::timestamptz)), id);
CREATE INDEX conversations_waiting_desc ON conversations (tenant_id, (COALESCE(waiting_since, '-infinity'::timestamptz)), id);
CREATE INDEX conversations_assignee ON conversations (tenant_id, assignee_id, last_activity_at, id);
CREATE INDEX conversations_organization ON conversations (tenant_id, organization_id, last_activity_at, id);
CREATE INDEX conversations_link ON conversations (tenant_id, link_id, last_activity_at, id);
CREATE INDEX conversations_end_user ON conversations (tenant_id, end_user_id, last_activity_at, id);
CREATE INDEX conversations_wake ON conversations (snoozed_until) WHERE status = 'SNOOZED';

-- A Slack thread inside a link. conversation_id is null while nothing in it opened a conversation.
CREATE TABLE threads (
  tenant_id       uuid NOT NULL REFERENCES tenants,
  id              uuid NOT NULL,
  link_id         uuid NOT NULL,
  thread_ts       text NOT NULL,
  conversation_id uuid,
  root_known      boolean NOT NULL DEFAULT false,
  created_at      timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, link_id, thread_ts),
  FOREIGN KEY (tenant_id, link_id) REFERENCES channel_links,
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations
);
CREATE INDEX threads_conversation ON threads (tenant_id, conversation_id);

CREATE TABLE messages (
  tenant_id       uuid NOT NULL REFERENCES tenants,
  id              uuid NOT NULL,
  thread_id       uuid NOT NULL,
  link_id         uuid NOT NULL,
  conversation_id uuid,
  version         integer NOT NULL,
  position        bigint NOT NULL,
  direction       text NOT NULL CHECK (direction IN ('INBOUND', 'OUTBOUND')),
  author_kind     text NOT NULL CHECK (author_kind IN ('UNKNOWN', 'END_USER', 'AGENT', 'TEAMMATE', 'APP', 'AUTOMATION')),
  identity_id     uuid,
  agent_id        uuid, -- who wrote it in Ochre
  app_name        text,
  slack_app_id    text,
  body            text NOT NULL,
  original        bytea,
  edit_ts         text NOT NULL DEFAULT '',
  created_at      timestamptz NOT NULL,
  queued_at       timestamptz,
  edited_at       timestamptz,
  deleted_at      timestamptz,
  pending_kind    text CHECK (pending_kind IN ('EDIT', 'DELETE')),
  pending_state   text CHECK (pending_state IN ('QUEUED', 'SENDING', 'FAILED')),
  pending_error   text,
  pending_body    text,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, thread_id) REFERENCES threads,
  FOREIGN KEY (tenant_id, link_id) REFERENCES channel_links,
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations,
  FOREIGN KEY (tenant_id, identity_id) REFERENCES slack_identities,
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents,
  CHECK ((pending_kind IS NULL) = (pending_state IS NULL)),
  CHECK (deleted_at IS NULL OR body = '')
);
CREATE INDEX messages_timeline ON messages (tenant_id, conversation_id, position, id);
CREATE INDEX messages_thread ON messages (tenant_id, thread_id, position, id);
CREATE INDEX messages_identity ON messages (tenant_id, identity_id);

-- A message's place in Slack. One row a message until long replies and files need more.
CREATE TABLE message_parts (
  tenant_id       uuid NOT NULL,
  message_id      uuid NOT NULL,
  part            integer NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('TEXT', 'FILE')),
  link_id         uuid NOT NULL,
  slack_ts        text,
  delivery_state  text CHECK (delivery_state IN ('QUEUED', 'SENDING', 'UNCONFIRMED', 'SENT', 'FAILED')), -- null: came from Slack
  attempt_id      uuid,
  attempts        integer NOT NULL DEFAULT 0,
  attempt_ended   timestamptz, -- when an attempt ended unclear; the settle time counts from here
  looked_up       integer NOT NULL DEFAULT 0, -- look-ups after that attempt
  error_code      text,
  error_message   text,
  next_attempt_at timestamptz,
  PRIMARY KEY (tenant_id, message_id, part),
  FOREIGN KEY (tenant_id, message_id) REFERENCES messages,
  FOREIGN KEY (tenant_id, link_id) REFERENCES channel_links,
  CHECK (slack_ts IS NOT NULL OR delivery_state IS NOT NULL),
  CHECK (delivery_state <> 'SENT' OR slack_ts IS NOT NULL)
);
CREATE UNIQUE INDEX message_parts_ts ON message_parts (tenant_id, link_id, slack_ts) WHERE slack_ts IS NOT NULL;

-- Deletions of messages, kept whether the message was seen or not: a tombstone wins, also if it comes first.
CREATE TABLE tombstones (
  tenant_id  uuid NOT NULL REFERENCES tenants,
  link_id    uuid NOT NULL,
  slack_ts   text NOT NULL,
  deleted_ts text NOT NULL,
  PRIMARY KEY (tenant_id, link_id, slack_ts),
  FOREIGN KEY (tenant_id, link_id) REFERENCES channel_links
);

CREATE TABLE attachments (
  tenant_id     uuid NOT NULL,
  id            uuid NOT NULL,
  message_id    uuid NOT NULL,
  slack_file_id text NOT NULL,
  ordinal       integer NOT NULL,
  state         text NOT NULL CHECK (state IN ('PENDING', 'AVAILABLE', 'DENIED', 'DELETED')),
  name          text,
  mime_type     text,
  size          bigint,
  slack_url     text,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, message_id, slack_file_id),
  FOREIGN KEY (tenant_id, message_id) REFERENCES messages
);

-- Who put which emoji where; event_ts orders put and taken. A row may come before its message.
CREATE TABLE reactions (
  tenant_id     uuid NOT NULL REFERENCES tenants,
  link_id       uuid NOT NULL,
  slack_ts      text NOT NULL,
  emoji         text NOT NULL,
  slack_user_id text NOT NULL,
  event_ts      text NOT NULL,
  present       boolean NOT NULL,
  PRIMARY KEY (tenant_id, link_id, slack_ts, emoji, slack_user_id),
  FOREIGN KEY (tenant_id, link_id) REFERENCES channel_links
);

CREATE TABLE notes (
  tenant_id       uuid NOT NULL,
  id              uuid NOT NULL,
  conversation_id uuid NOT NULL,
  version         integer NOT NULL,
  position        bigint NOT NULL,
  author_id       uuid NOT NULL,
  body            text NOT NULL CHECK (body <> ''),
  created_at      timestamptz NOT NULL,
  edited_at       timestamptz,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations,
  FOREIGN KEY (tenant_id, author_id) REFERENCES agents
);
CREATE INDEX notes_timeline ON notes (tenant_id, conversation_id, position, id);

CREATE TABLE activities (
  tenant_id       uuid NOT NULL,
  id              uuid NOT NULL,
  conversation_id uuid NOT NULL,
  version         integer NOT NULL DEFAULT 1,
  position        bigint NOT NULL,
  kind            text NOT NULL,
  actor_kind      text NOT NULL,
  actor_id        uuid,
  "from"          text,
  "to"            text,
  created_at      timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, id),
  FOREIGN KEY (tenant_id, conversation_id) REFERENCES conversations
);
CREATE INDEX activities_timeline ON activities (tenant_id, conversation_id, position, id);

CREATE TABLE idempotency_keys (
  tenant_id  uuid NOT NULL,
  agent_id   uuid NOT NULL,
  mutation   text NOT NULL,
  key        text NOT NULL,
  input_hash bytea NOT NULL,
  result_id  uuid NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, agent_id, mutation, key),
  FOREIGN KEY (tenant_id, agent_id) REFERENCES agents
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

-- A Slack event exactly as it was signed, once per link that watches its channel. It also is the memory of which deliveries were seen.
CREATE TABLE slack_events (
  tenant_id   uuid NOT NULL REFERENCES tenants,
  id          uuid NOT NULL,
  link_id     uuid NOT NULL,
  event_id    text NOT NULL,
  body        bytea NOT NULL,
  received_at timestamptz NOT NULL,
  applied_at  timestamptz,
  outcome     text, -- APPLIED, or why it changed nothing
  PRIMARY KEY (tenant_id, id),
  UNIQUE (event_id, link_id),
  FOREIGN KEY (tenant_id, link_id) REFERENCES channel_links
);
CREATE INDEX slack_events_received ON slack_events (received_at);

-- The one durable queue: ordered per key, leased, paced. An item's id is taken under its lane's row lock, so ids of a lane follow commit order.
CREATE TABLE lanes (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  queue        text NOT NULL CHECK (queue IN ('INBOUND', 'OUTBOUND', 'JOB')),
  key          text NOT NULL,
  tenant_id    uuid NOT NULL REFERENCES tenants,
  pending      boolean NOT NULL,
  next_at      timestamptz NOT NULL, -- not before: pacing, back-off, settling
  lease        uuid,
  leased_until timestamptz,
  idle_since   timestamptz,
  UNIQUE (queue, key),
  UNIQUE (id, queue, tenant_id)
);
CREATE INDEX lanes_due ON lanes (queue, next_at) WHERE pending;
CREATE INDEX lanes_idle ON lanes (idle_since) WHERE NOT pending;

-- What waits in a lane. An OUTBOUND item names a message, and nothing but a message can be named: a note has no way to here.
CREATE TABLE lane_items (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  lane_id    bigint NOT NULL,
  queue      text NOT NULL,
  tenant_id  uuid NOT NULL,
  kind       text NOT NULL,
  message_id uuid,
  event_id   uuid,
  payload    bytea,
  attempts   integer NOT NULL DEFAULT 0,
  last_error text,
  created_at timestamptz NOT NULL,
  dead_at    timestamptz, -- a dead letter: given up, kept to be looked at and replayed
  FOREIGN KEY (lane_id, queue, tenant_id) REFERENCES lanes (id, queue, tenant_id),
  FOREIGN KEY (tenant_id, message_id) REFERENCES messages,
  FOREIGN KEY (tenant_id, event_id) REFERENCES slack_events,
  CHECK ((queue = 'OUTBOUND') = (message_id IS NOT NULL)),
  CHECK ((queue = 'INBOUND') = (event_id IS NOT NULL)),
  CHECK (queue <> 'OUTBOUND' OR kind IN ('POST', 'EDIT', 'DELETE', 'DELETE_DOUBLE'))
);
CREATE INDEX lane_items_lane ON lane_items (lane_id, id) WHERE dead_at IS NULL;
CREATE INDEX lane_items_message ON lane_items (tenant_id, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX lane_items_event ON lane_items (tenant_id, event_id) WHERE event_id IS NOT NULL;

-- +goose Down
DROP TABLE lane_items, lanes, slack_events, idempotency_keys, activities, notes, reactions, attachments, tombstones, message_parts, messages,
  threads, conversations, channel_links, slack_channels, oauth_states, slack_installations, slack_identities, teammates, end_users, organizations,
  sessions, signin_links, api_tokens, agents, events, number_counters, event_counters, tenants, log_epoch;

// The main job, end to end, by programs that Ochre did not write: a customer posts with Slack's own client, the conversation arrives over
// graphql-ws, an agent replies by mutation, and the reply is read back from the thread with Slack's own client.
//
// OCHRE_URL, OCHRE_TOKEN and SLACKSIM_URL say where; the defaults are those of `ochre dev`. Exit code 1 if anything is not as it should be.
import assert from 'node:assert/strict';
import { WebClient } from '@slack/web-api';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const ochre = process.env.OCHRE_URL ?? 'http://127.0.0.1:8080';
const token = process.env.OCHRE_TOKEN;
const slack = process.env.SLACKSIM_URL ?? 'http://127.0.0.1:8081';
assert.ok(token, 'OCHRE_TOKEN is not set');

const deadline = setTimeout(() => {
  console.error('FAILED: 60 seconds have passed');
  process.exit(1);
}, 60_000);

async function graphql(query, variables) {
  const response = await fetch(`${ochre}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

async function until(what, seconds, look) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what}: not within ${seconds} s`);
}

const world = await (await fetch(`${slack}/world`)).json();
const { viewer, channelLinks, latestEventCursor } = await graphql(
  '{ latestEventCursor viewer { name avatarUrl } channelLinks(first: 10) { nodes { slackChannelId slackTeamId isSlackConnect organization { name } } } }',
);
const link = channelLinks.nodes.find((l) => l.isSlackConnect);
assert.ok(link, 'no Slack Connect channel is linked');
const channel = world.channels.find((c) => c.id === link.slackChannelId);
const customers = world.teams.filter((t) => t.id !== link.slackTeamId && channel.teamIds.includes(t.id));
const customer = customers.flatMap((t) => t.users).find((u) => !u.isBot && channel.memberIds.includes(u.id));
const customerSlack = new WebClient(customer.token, { slackApiUrl: `${slack}/api/` });

const socket = createClient({
  url: `${ochre.replace(/^http/, 'ws')}/graphql`,
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${token}` },
});
const events = socket.iterate({
  query: `subscription($after: EventCursor) { inboxEvents(after: $after) { __typename
    ... on ConversationCreated { conversation { id title endUser { name } organization { name } slackPermalink } } } }`,
  variables: { after: latestEventCursor },
});
for await (const { data, errors } of events) {
  assert.equal(errors, undefined, JSON.stringify(errors));
  if (data.inboxEvents.__typename === 'CaughtUp') break; // so that what follows is live
}

const text = `The export is broken since *this morning* (${Date.now()})`;
const live = socket.iterate({
  query: `subscription { inboxEvents { __typename ... on ConversationCreated { conversation { id title endUser { name } organization { name } } } } }`,
});
await live.next(); // CaughtUp
const began = Date.now();
const posted = await customerSlack.chat.postMessage({ channel: link.slackChannelId, text });
let conversation;
const patience = setTimeout(() => {
  console.error('FAILED: no conversation within 30 s');
  process.exit(1);
}, 30_000);
for await (const { data } of live) {
  const event = data.inboxEvents;
  if (event.__typename === 'ConversationCreated' && event.conversation.title.includes('The export is broken')) {
    conversation = event.conversation;
    break;
  }
}
clearTimeout(patience);
const arrived = Date.now() - began;
console.log(`posted as ${customer.realName}, conversation "${conversation.title}" arrived over graphql-ws after ${arrived} ms (aim: 1000 ms)`);
assert.equal(conversation.organization.name, link.organization.name);

const body = 'Thanks, we are on it:\n\n- the **cause** is known\n- [status](https://status.example.com/)\n\n@channel stays text';
const { postReply } = await graphql(
  'mutation($input: PostReplyInput!) { postReply(input: $input) { message { id delivery { state } } userErrors { code message } } }',
  { input: { conversationId: conversation.id, body, idempotencyKey: `mainjob-${began}` } },
);
assert.deepEqual(postReply.userErrors, []);

const reply = await until('the reply in the thread', 30, async () => {
  const { messages } = await customerSlack.conversations.replies({ channel: link.slackChannelId, ts: posted.ts });
  return messages.find((m) => m.ts !== posted.ts);
});
const icon = reply.icons?.image_72 ?? reply.icons?.image_48;
console.log(`reply in the thread after ${Date.now() - began} ms, as ${reply.username} with the avatar ${icon}`);
assert.equal(reply.thread_ts, posted.ts);
assert.equal(reply.username, viewer.name, 'the reply does not show the agent');
assert.equal(icon, viewer.avatarUrl, 'the reply does not show the agent\'s avatar');
assert.equal(reply.blocks?.[0]?.type, 'rich_text');
assert.ok(!/<!channel>/.test(reply.text), 'the reply pings the channel');
assert.ok(!JSON.stringify(reply.blocks).includes('"broadcast"'), 'the reply pings the channel');

const sent = await until('the delivery', 10, async () => {
  const { node } = await graphql('query($id: ID!) { node(id: $id) { ... on Message { slackTs delivery { state attempts } author { ... on Agent { name } } } } }', {
    id: postReply.message.id,
  });
  return node.delivery.state === 'SENT' ? node : undefined;
});
assert.equal(sent.slackTs, reply.ts);
assert.equal(sent.delivery.attempts, 1);

await graphql('mutation($id: ID!) { addNote(input: {conversationId: $id, body: "internal only"}) { userErrors { code } } }', { id: conversation.id });
const { conversation: whole } = await graphql(
  `query($id: ID!) { conversation(by: {id: $id}) { status waitingOn endUser { name } timeline(first: 50) { nodes { __typename ... on Message { body direction } } } } }`,
  { id: conversation.id },
);
assert.equal(whole.waitingOn, 'CUSTOMER');
assert.equal(whole.endUser.name, customer.realName);
const messages = whole.timeline.nodes.filter((n) => n.__typename === 'Message');
assert.deepEqual(messages.map((m) => m.direction), ['INBOUND', 'OUTBOUND']);
assert.ok(messages[0].body.includes('**this morning**'), messages[0].body);
const { messages: thread } = await customerSlack.conversations.replies({ channel: link.slackChannelId, ts: posted.ts });
assert.equal(thread.length, 2, 'the thread should hold the question and one answer, and no note');
console.log('1 passed, 0 failed');
clearTimeout(deadline);
await socket.dispose();
process.exit(0);

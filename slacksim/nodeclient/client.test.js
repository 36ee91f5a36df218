// What a customer and an app do with Slack's own Node client, against the simulator
// at SLACKSIM_URL.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ErrorCode, WebClient } from "@slack/web-api";

const base = process.env.SLACKSIM_URL?.replace(/\/$/, "");
let customer, bot, channel;

const client = (token) => new WebClient(token, { slackApiUrl: `${base}/api/`, retryConfig: { retries: 0 }, rejectRateLimitedCalls: true });

async function control(path, body) {
  const answer = await fetch(`${base}/control/${path}`, { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
}

before(async () => {
  assert.ok(base, "set SLACKSIM_URL to the simulator's address, such as http://127.0.0.1:8081");
  const world = await (await fetch(`${base}/world`)).json();
  channel = world.channels.find((found) => found.isExtShared);
  const person = world.teams.flatMap((team) => team.users).find((user) => channel.memberIds.includes(user.id) && user.name === "iris");
  customer = client(person.token);
  bot = client((await control("install", {})).token);
  await control("invite", { channel: channel.id });
});

test("posts, replies, edits and reads the thread", async () => {
  const posted = await customer.chat.postMessage({ channel: channel.id, text: "Is it *down*? 5 > 3" });
  assert.equal(posted.message.text, "Is it *down*? 5 &gt; 3");
  const blocks = [{ type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: "Looking." }] }] }];
  const answered = await bot.chat.postMessage({
    channel: channel.id, thread_ts: posted.ts, text: "Looking.", blocks, username: "Ada", icon_url: "https://example.com/ada.png",
    metadata: { event_type: "reply", event_payload: { id: "msg_1" } },
  });
  await bot.chat.update({ channel: channel.id, ts: answered.ts, text: "Fixed." });
  const thread = await customer.conversations.replies({ channel: channel.id, ts: posted.ts, include_all_metadata: true });
  assert.deepEqual(thread.messages.map((message) => message.text), ["Is it *down*? 5 &gt; 3", "Fixed."]);
  const [root, answer] = thread.messages;
  assert.equal(root.reply_count, 1);
  assert.equal(answer.username, "Ada");
  assert.equal(answer.icons.image_72, "https://example.com/ada.png");
  assert.equal(answer.metadata.event_payload.id, "msg_1");
  assert.equal(answer.edited.user, (await bot.auth.test()).user_id);
});

test("pages by the client's own iterator", async () => {
  const names = [];
  for await (const page of bot.paginate("conversations.list", { limit: 1 })) names.push(...page.channels.map((found) => found.name));
  assert.ok(names.length >= 3 && new Set(names).size === names.length, names.join());
});

test("uploads a file and reads it back", async () => {
  const { files } = await customer.filesUploadV2({ channel_id: channel.id, filename: "trace.txt", content: "line one", initial_comment: "the trace" });
  const [{ files: [shared] }] = files;
  const { file } = await bot.files.info({ file: shared.id });
  const content = await fetch(file.url_private, { headers: { Authorization: `Bearer ${bot.token}` } });
  assert.equal(await content.text(), "line one");
});

test("gets Slack's errors as the client knows them", async () => {
  await assert.rejects(customer.chat.postMessage({ channel: "C0", text: "x" }), (error) =>
    error.code === ErrorCode.PlatformError && error.data.error === "channel_not_found");
  await control("faults", { method: "chat.postMessage", kind: "429", retryAfter: 3, channel: channel.id });
  await assert.rejects(customer.chat.postMessage({ channel: channel.id, text: "x" }), (error) =>
    error.code === ErrorCode.RateLimitedError && error.retryAfter === 3);
});

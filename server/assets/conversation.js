// One conversation, to read: what Conversation.url leads to until the inbox has pages of its own.
import { element, follow, graphql } from "./ochre.js";

const DOCUMENT = `query Conversation($number: Int!) {
  conversation(by: { number: $number }) {
    id number title status waitingOn priority slackPermalink
    organization { name } endUser { name } assignee { name } channelLink { slackChannelName }
    timeline(last: 100) { nodes {
      __typename id createdAt
      ... on Message { body direction deletedAt delivery { state errorMessage } author { ...Name } attachments { id name url state } reactions { emoji count } }
      ... on Note { body writer: author { ...Who } }
      ... on Activity { kind from to actor { ...Who } }
    } }
  }
}
fragment Name on MessageAuthor { ... on EndUser { name } ... on Agent { name } ... on Teammate { name } ... on SlackApp { name } ... on Automation { name } }
fragment Who on Actor { ... on EndUser { name } ... on Agent { name } ... on Teammate { name } ... on SlackApp { name } ... on Automation { name } }`;

const number = Number(location.pathname.split("/").pop());
let id;

async function read() {
  const data = await graphql(DOCUMENT, { number });
  if (!data) return true;
  const found = data.conversation;
  document.querySelector("#missing").hidden = Boolean(found);
  if (!found) return false;
  id = found.id;
  document.title = `#${found.number} ${found.title} · Ochre`;
  document.querySelector("#title").textContent = `#${found.number} ${found.title}`;
  document.querySelector("#about").textContent = [
    found.status.toLowerCase(),
    found.waitingOn && `waits for ${found.waitingOn === "US" ? "us" : "the customer"}`,
    found.assignee && `assigned to ${found.assignee.name}`,
    found.organization?.name,
    found.endUser?.name,
    "#" + found.channelLink.slackChannelName,
  ].filter(Boolean).join(" · ");
  const link = document.querySelector("#slack");
  link.hidden = !found.slackPermalink;
  link.href = found.slackPermalink ?? "";
  document.querySelector("#timeline").replaceChildren(...found.timeline.nodes.map(entry));
  return true;
}

function entry(e) {
  const li = element("li", e.__typename.toLowerCase());
  li.dataset.id = e.id;
  const who = (e.author ?? e.writer ?? e.actor)?.name ?? "somebody";
  const state = e.delivery && e.delivery.state !== "SENT" ? ` · ${e.delivery.state.toLowerCase()} ${e.delivery.errorMessage ?? ""}` : "";
  const what = { Note: " · internal note", Activity: ` · ${e.kind?.toLowerCase().replace("_", " ")} ${e.to ?? ""}` }[e.__typename] ?? "";
  li.append(element("div", "quiet", `${who} · ${new Date(e.createdAt).toLocaleString()}${what}${state}`));
  if (e.body !== undefined) li.append(element("div", "body", e.deletedAt ? "(deleted message)" : e.body));
  for (const file of e.attachments ?? []) {
    const a = element(file.url ? "a" : "span", "file", `📎 ${file.name ?? file.state.toLowerCase()}`);
    if (file.url) a.href = new URL(file.url).pathname;
    li.append(a);
  }
  const reactions = (e.reactions ?? []).map((r) => `:${r.emoji}: ${r.count}`).join("  ");
  if (reactions) li.append(element("div", "quiet", reactions));
  return li;
}

follow(read, "subscription Live($id: ID!) { conversationEvents(conversationId: $id) { __typename } }", () => ({ id }));

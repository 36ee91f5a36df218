// The start page: who is signed in and the newest conversations.
import { element, follow, graphql } from "./ochre.js";

const DOCUMENT = `query Start {
  viewer { name email role }
  conversations(first: 20) {
    nodes { id number title preview status lastActivityAt organization { name } channelLink { slackChannelName } }
  }
}`;

async function read() {
  const data = await graphql(DOCUMENT);
  if (!data) return;
  document.querySelector("#viewer").textContent = `${data.viewer.name} · ${data.viewer.email} · ${data.viewer.role.toLowerCase()}`;
  document.querySelector("#empty").hidden = data.conversations.nodes.length > 0;
  document.querySelector("#conversations").replaceChildren(...data.conversations.nodes.map(item));
}

function item(conversation) {
  const li = document.createElement("li");
  li.dataset.id = conversation.id;
  const title = element("a", "title", `#${conversation.number} ${conversation.title}`);
  title.href = `/conversations/${conversation.number}`;
  const about = [
    conversation.status.toLowerCase(),
    conversation.organization?.name,
    "#" + conversation.channelLink.slackChannelName,
    new Date(conversation.lastActivityAt).toLocaleString(),
  ];
  li.append(title, element("div", "", conversation.preview), element("div", "quiet", about.filter(Boolean).join(" · ")));
  return li;
}

follow(read, "subscription Live { inboxEvents { __typename } }");

// The start page: who is signed in and the newest conversations, read again whenever the inbox tells of an event.
const list = document.querySelector("#conversations");
const live = document.querySelector("#live");
const problem = document.querySelector("#problem");

const DOCUMENT = `query Start {
  viewer { name email role }
  conversations(first: 20) {
    nodes { id number title preview status lastActivityAt organization { name } channelLink { slackChannelName } }
  }
}`;

async function read() {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query: DOCUMENT }),
  });
  if (response.status === 401) {
    location.assign("/signin");
    return;
  }
  const { data, errors } = await response.json();
  problem.hidden = !errors;
  if (errors) {
    problem.textContent = errors[0].message;
    return;
  }
  document.querySelector("#viewer").textContent = `${data.viewer.name} · ${data.viewer.email} · ${data.viewer.role.toLowerCase()}`;
  document.querySelector("#empty").hidden = data.conversations.nodes.length > 0;
  list.replaceChildren(...data.conversations.nodes.map(item));
}

function item(conversation) {
  const li = document.createElement("li");
  li.dataset.id = conversation.id;
  const title = document.createElement("b");
  title.textContent = `#${conversation.number} ${conversation.title}`;
  const preview = document.createElement("div");
  preview.textContent = conversation.preview;
  const about = document.createElement("div");
  about.className = "quiet";
  about.textContent = [
    conversation.status.toLowerCase(),
    conversation.organization?.name,
    "#" + conversation.channelLink.slackChannelName,
    new Date(conversation.lastActivityAt).toLocaleString(),
  ].filter(Boolean).join(" · ");
  li.append(title, preview, about);
  return li;
}

// refresh reads again at most twice a second, however many events come.
let pending = false;
function refresh() {
  if (pending) return;
  pending = true;
  setTimeout(() => {
    pending = false;
    read().catch(show);
  }, 500);
}

function show(error) {
  problem.hidden = false;
  problem.textContent = String(error.message ?? error);
}

// connect subscribes over graphql-transport-ws, and again after a pause when the socket ends.
function connect(pause) {
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/graphql", "graphql-transport-ws");
  socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init" }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "connection_ack") {
      pause = 1000;
      live.textContent = "live";
      const query = "subscription Live { inboxEvents { __typename } }";
      socket.send(JSON.stringify({ type: "subscribe", id: "1", payload: { query } }));
    } else if (message.type === "ping") {
      socket.send(JSON.stringify({ type: "pong" }));
    } else if (message.type === "next") {
      refresh(); // the first is CaughtUp: what was missed before it is read then
    }
  };
  socket.onclose = () => {
    live.textContent = "connecting …";
    setTimeout(connect, pause, Math.min(pause * 2, 30_000));
  };
}

read().catch(show);
connect(1000);

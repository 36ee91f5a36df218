// What the pages share: reading from /graphql as who is signed in, and reading again whenever a subscription tells of an event.
const live = document.querySelector("#live");
const problem = document.querySelector("#problem");

export function show(error) {
  problem.hidden = !error;
  problem.textContent = error ? String(error.message ?? error) : "";
}

export async function graphql(query, variables) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json" },
    body: JSON.stringify({ query, variables }),
  });
  if (response.status === 401) {
    location.assign("/signin");
    return undefined;
  }
  const { data, errors } = await response.json();
  show(errors?.[0]);
  return errors ? undefined : data;
}

// follow calls read now and, at most twice a second, whenever the subscription tells of something; its first event is CaughtUp, so what was
// missed while the socket was away is read then. read gives false to end it.
export async function follow(read, query, variables) {
  let pending = false;
  const refresh = () => {
    if (pending) return;
    pending = true;
    setTimeout(() => {
      pending = false;
      read().catch(show);
    }, 500);
  };
  try {
    if ((await read()) === false) return;
  } catch (error) {
    show(error);
  }
  connect(1000, { query, variables: variables?.() }, refresh);
}

// connect subscribes over graphql-transport-ws, and again after a pause when the socket ends.
function connect(pause, payload, refresh) {
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/graphql", "graphql-transport-ws");
  socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init" }));
  socket.onmessage = ({ data }) => {
    const { type } = JSON.parse(data);
    if (type === "connection_ack") {
      pause = 1000;
      live.textContent = "live";
      socket.send(JSON.stringify({ type: "subscribe", id: "1", payload }));
    } else if (type === "ping") {
      socket.send(JSON.stringify({ type: "pong" }));
    } else if (type === "next") {
      refresh();
    }
  };
  socket.onclose = () => {
    live.textContent = "connecting …";
    setTimeout(connect, pause, Math.min(pause * 2, 30_000), payload, refresh);
  };
}

// element makes an element with a class and text.
export function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text ?? "";
  return made;
}

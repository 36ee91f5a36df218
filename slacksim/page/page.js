// The simulator's page: a small Slack client for any user of the world. It looks at
// the whole channel again whenever the stream names it; the world is small.
"use strict";

const at = (id) => document.getElementById(id);
const state = { world: null, user: null, channel: null, replyTo: null, editing: null, fresh: new Set() };
const emoji = { eyes: "👀", "+1": "👍", thumbsup: "👍", white_check_mark: "✅", heart: "❤️", tada: "🎉", wave: "👋", bow: "🙇" };
const quick = ["eyes", "+1", "white_check_mark", "tada"];

// el makes an element; text is always text, never HTML.
function el(tag, props = {}, ...children) {
  const { class: className, ...rest } = props;
  const node = Object.assign(document.createElement(tag), rest);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

async function getJSON(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// act calls a Web API method as the picked user, by their own hand.
async function act(method, args) {
  const answer = await fetch("/control/act", { method: "POST", body: JSON.stringify({ user: state.user.id, method, args }) });
  const out = await answer.json();
  if (!out.ok) throw new Error(out.error);
  return out;
}

const allUsers = () => state.world.teams.flatMap((team) => team.users.map((user) => ({ ...user, team })));
const userName = (id) => allUsers().find((user) => user.id === id)?.realName ?? id;
const visible = (channel) =>
  channel.teamIds.includes(state.user.team.id) && (!channel.isPrivate || channel.memberIds.includes(state.user.id));

async function loadWorld() {
  state.world = await getJSON("/world");
  const people = allUsers().filter((user) => !user.isBot);
  const wanted = location.hash.slice(1).split("/");
  state.user = people.find((user) => user.id === (state.user?.id ?? wanted[0])) ?? people[0];
  if (!at("user").options.length) {
    at("user").append(...state.world.teams.map((team) => el("optgroup", { label: team.name },
      ...people.filter((user) => user.team.id === team.id).map((user) => el("option", { value: user.id, textContent: user.realName })))));
  }
  at("user").value = state.user.id;
  const channels = state.world.channels.filter(visible);
  state.channel = channels.find((channel) => channel.id === (state.channel?.id ?? wanted[1])) ?? channels[0];
  drawChannels(channels);
}

function drawChannels(channels) {
  const group = (title, list) => (list.length ? [el("h3", { textContent: title }), ...list.map(channelButton)] : []);
  at("channels").replaceChildren(
    ...group("Slack Connect", channels.filter((channel) => channel.isExtShared)),
    ...group(state.user.team.name, channels.filter((channel) => !channel.isExtShared)));
  location.replace(`#${state.user.id}/${state.channel?.id ?? ""}`);
}

function channelButton(channel) {
  const button = el("button", { textContent: (channel.isPrivate ? "🔒 " : "# ") + channel.name, class: state.fresh.has(channel.id) ? "fresh" : "" });
  button.setAttribute("aria-current", channel.id === state.channel?.id);
  button.onclick = () => {
    state.channel = channel;
    state.replyTo = state.editing = null;
    refresh(true);
  };
  return button;
}

// inline draws an element of a rich_text section.
function inline(part) {
  const text = {
    text: () => document.createTextNode(part.text),
    link: () => el("a", { href: /^(https?|mailto|tel):/i.test(part.url) ? part.url : "#", textContent: part.text ?? part.url, target: "_blank", rel: "noreferrer" }),
    user: () => el("span", { class: "mention", textContent: "@" + userName(part.user_id) }),
    channel: () => el("span", { class: "mention", textContent: "#" + (state.world.channels.find((c) => c.id === part.channel_id)?.name ?? part.channel_id) }),
    broadcast: () => el("span", { class: "mention", textContent: "@" + part.range }),
    emoji: () => document.createTextNode(emoji[part.name] ?? `:${part.name}:`),
    date: () => document.createTextNode(part.fallback),
  }[part.type]?.() ?? document.createTextNode(part.text ?? `[${part.type}]`);
  const tags = { bold: "b", italic: "i", strike: "s", code: "code" };
  return Object.entries(tags).reduce((node, [mark, tag]) => (part.style?.[mark] ? el(tag, {}, node) : node), text);
}

function richElement(part) {
  const parts = part.elements ?? [];
  switch (part.type) {
    case "rich_text_list": {
      const list = el(part.style === "ordered" ? "ol" : "ul", {}, ...parts.map((item) => el("li", {}, ...item.elements.map(inline))));
      if (part.offset) list.start = part.offset + 1;
      list.style.marginLeft = `${(part.indent ?? 0) * 20}px`;
      return list;
    }
    case "rich_text_preformatted": return el("pre", {}, ...parts.map(inline));
    case "rich_text_quote": return el("blockquote", {}, ...parts.map(inline));
    default: return el("p", {}, ...parts.map(inline));
  }
}

function body(message) {
  const rich = (message.blocks ?? []).filter((block) => block.type === "rich_text");
  if (rich.length) return rich.flatMap((block) => block.elements.map(richElement));
  const sections = (message.blocks ?? []).map((block) => block.text?.text).filter(Boolean);
  return (sections.length ? sections : [message.text]).map((text) =>
    el("p", { textContent: text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&") }));
}

function fileLink(file) {
  return el("a", { class: "system", textContent: `📄 ${file.title ?? file.id} (${file.size} bytes)`, href: "#", onclick: async (click) => {
    click.preventDefault();
    const answer = await fetch(file.url_private, { headers: { Authorization: "Bearer " + state.user.token } });
    el("a", { href: URL.createObjectURL(await answer.blob()), download: file.name }).click();
  } });
}

function draw(message) {
  if (message.subtype === "tombstone") return el("div", { class: "message system" }, "", el("div", { textContent: message.text }));
  if (message.subtype === "channel_join") return el("div", { class: "message system" }, "", el("div", { textContent: `${userName(message.user)} joined` }));
  const author = allUsers().find((user) => user.id === message.user);
  const mine = message.user === state.user.id;
  const bot = message.bot_id && (!author || author.isBot);
  const when = new Date(Number(message.ts) * 1000);
  const head = el("div", {},
    el("span", { class: "name", textContent: message.username ?? author?.realName ?? message.bot_profile?.name ?? message.user ?? "bot" }),
    bot ? el("span", { class: "tag", textContent: "APP" }) : null,
    author && author.team.id !== state.user.team.id ? el("span", { class: "tag", textContent: author.team.name }) : null,
    el("span", { class: "meta", textContent: when.toLocaleTimeString(), title: message.ts }),
    message.edited ? el("span", { class: "meta", textContent: "(edited)" }) : null);
  const content = el("div", {}, head, el("div", { class: "text" }, ...body(message)),
    ...(message.files ?? []).map(fileLink),
    ...(message.attachments ?? []).map((shown) => el("blockquote", { textContent: `${shown.title ?? ""} ${shown.text ?? ""}` })));
  if (message.reactions) content.append(el("div", { class: "reactions" }, ...message.reactions.map((r) => reactionButton(message, r))));
  const image = message.icons?.image_72 ?? `/avatar/${message.user ?? message.bot_id}.png`;
  const node = el("article", { class: "message", tabIndex: 0 }, el("img", { src: image, alt: "", onerror: (event) => { event.target.onerror = null; event.target.src = `/avatar/${message.user}.png`; } }), content);
  node.dataset.ts = message.ts;
  node.append(tools(message, mine, node));
  return node;
}

function reactionButton(message, reaction) {
  const mine = reaction.users.includes(state.user.id);
  return el("button", {
    class: mine ? "mine" : "", title: reaction.users.map(userName).join(", "),
    textContent: `${emoji[reaction.name] ?? ":" + reaction.name + ":"} ${reaction.count}`,
    onclick: () => tried(act(mine ? "reactions.remove" : "reactions.add", { channel: state.channel.id, timestamp: message.ts, name: reaction.name })),
  });
}

function tools(message, mine, node) {
  const list = quick.map((name) => el("button", {
    textContent: emoji[name], title: name,
    onclick: () => tried(act("reactions.add", { channel: state.channel.id, timestamp: message.ts, name })),
  }));
  if (mine) {
    list.push(el("button", { textContent: "Edit", onclick: () => edit(message, node) }));
    list.push(el("button", { textContent: "Delete", onclick: () => tried(act("chat.delete", { channel: state.channel.id, ts: message.ts })) }));
  }
  return el("div", { class: "tools" }, ...list);
}

const say = (text) => { at("status").textContent = text; };
const tried = (promise) => promise.catch((error) => say(error.message));

function edit(message, node) {
  state.editing = message.ts;
  const form = composer("Save", async (text) => {
    await act("chat.update", { channel: state.channel.id, ts: message.ts, text });
    state.editing = null;
  });
  form.elements.text.value = message.text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  node.replaceChildren(form);
  form.elements.text.onkeyup = (key) => { if (key.key === "Escape") { state.editing = null; refresh(); } };
  form.elements.text.focus();
}

// composer makes a form that sends with Enter; send gets the text and the file.
function composer(label, send, form = null) {
  form ??= el("form", { class: "composer" },
    el("textarea", { name: "text", rows: 1, placeholder: label, ariaLabel: label }), el("button", { class: "primary", textContent: label }), el("output"));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const text = form.elements.text.value.trim();
    const file = form.elements.file?.files[0];
    if (!text && !file) return;
    try {
      await send(text, file);
      form.reset();
      form.querySelector("output").textContent = "";
      form.querySelector(".attach")?.classList.remove("full");
      refresh();
    } catch (error) {
      form.querySelector("output").textContent = `Not sent: ${error.message}`;
    }
  };
  form.elements.text.onkeydown = (key) => {
    if (key.key === "Enter" && !key.shiftKey && !key.isComposing) { key.preventDefault(); form.requestSubmit(); }
  };
  return form;
}

async function post(text, file, threadTS) {
  const place = { channel: state.channel.id, ...(threadTS ? { thread_ts: threadTS } : {}) };
  if (!file) return act("chat.postMessage", { ...place, text });
  const upload = await act("files.getUploadURLExternal", { filename: file.name, length: String(file.size) });
  await fetch(new URL(upload.upload_url).pathname, { method: "POST", body: file });
  return act("files.completeUploadExternal", {
    channel_id: place.channel, ...(threadTS ? { thread_ts: threadTS } : {}), initial_comment: text,
    files: JSON.stringify([{ id: upload.file_id, title: file.name }]),
  });
}

function drawThread({ root, replies }) {
  const nodes = [draw(root)];
  const list = el("div", { class: "replies" }, ...(replies ?? []).map(draw));
  const open = state.replyTo === root.ts;
  if (open) list.append(composer("Reply", (text) => post(text, null, root.ts)));
  if (replies?.length || open) nodes.push(list);
  const member = state.channel.memberIds.includes(state.user.id);
  if (!open && member && root.subtype !== "channel_join") {
    nodes.push(el("button", { class: "reply", textContent: "Reply", onclick: async () => {
      state.replyTo = root.ts;
      await refresh();
      at("threads").querySelector(".replies .composer textarea")?.focus();
    } }));
  }
  return nodes;
}

let drawing = Promise.resolve();

// refresh draws everything anew, one after the other, and keeps what is being typed.
function refresh(toEnd = false) {
  drawing = drawing.then(() => redraw(toEnd)).catch((error) => say(error.message));
  return drawing;
}

async function redraw(toEnd) {
  await loadWorld();
  const channel = state.channel;
  if (!channel) return;
  state.fresh.delete(channel.id);
  const found = await getJSON(`/page/channel?id=${channel.id}&user=${state.user.id}`);
  const member = channel.memberIds.includes(state.user.id);
  at("title").textContent = (channel.isPrivate ? "🔒 " : "# ") + channel.name;
  at("about").textContent = `${channel.memberIds.length} members · ` + channel.teamIds.map((id) => state.world.teams.find((team) => team.id === id)?.name).join(" and ");
  at("composer").hidden = !member;
  at("outside").hidden = member;
  if (state.editing) return;
  const box = at("threads");
  const atEnd = toEnd || box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const typed = box.querySelector(".replies .composer textarea");
  const kept = typed && { text: typed.value, focused: document.activeElement === typed };
  box.replaceChildren(...(found.threads ?? []).flatMap(drawThread));
  const again = box.querySelector(".replies .composer textarea");
  if (kept && again) {
    again.value = kept.text;
    if (kept.focused) again.focus();
  }
  if (atEnd) box.scrollTop = box.scrollHeight;
}

function watch() {
  const stream = new EventSource("/page/stream");
  stream.onopen = () => { at("live").classList.add("on"); say("live"); refresh(); };
  stream.onerror = () => { at("live").classList.remove("on"); say("reconnecting"); };
  stream.onmessage = ({ data }) => {
    if (data && data !== state.channel?.id) state.fresh.add(data);
    refresh();
  };
}

at("user").onchange = () => {
  state.user = allUsers().find((user) => user.id === at("user").value);
  state.replyTo = state.editing = null;
  refresh(true);
};
at("join").onclick = () => tried(act("conversations.join", { channel: state.channel.id }).then(() => refresh(true)));
at("composer").elements.file.onchange = (event) => event.target.parentElement.classList.toggle("full", event.target.files.length > 0);
composer("Message", (text, file) => post(text, file), at("composer"));
refresh(true).then(watch);

// The pages as people use them, in a real Chromium: an admin signs in, a customer writes in the simulator, the conversation appears by itself,
// GraphiQL shows it on a subscription, and the answer stands in the thread under the agent's name.
//
// OCHRE_URL, OCHRE_TOKEN, OCHRE_SIGNIN and SLACKSIM_URL say where; SCREENSHOTS=DIR keeps pictures.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { OCHRE_URL, OCHRE_TOKEN, OCHRE_SIGNIN, SLACKSIM_URL, SCREENSHOTS } = process.env;
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium'].find(existsSync);

let browser, context;
const problems = [];

before(async () => {
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'] });
  context = await browser.newContext({ viewport: { width: 1200, height: 800 } });
});
after(() => browser?.close());

async function open(url) {
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => problems.push(`${url}: ${error}`));
  page.on('console', (m) => m.type() === 'error' && problems.push(`${url}: ${m.text()}`));
  await page.goto(url);
  return page;
}

async function keep(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

async function graphql(query, variables) {
  const response = await fetch(`${OCHRE_URL}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${OCHRE_TOKEN}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

async function writeAsCustomer(sim, text) {
  const composer = sim.locator('#composer');
  await composer.locator('textarea').fill(text);
  await composer.locator('button.primary').click();
  await sim.locator('#threads').getByText(text).first().waitFor();
}

test('the main job, on the pages', async () => {
  const world = await (await fetch(`${SLACKSIM_URL}/world`)).json();
  const channel = world.channels.find((c) => c.isExtShared);
  const customer = world.teams[1].users.find((u) => !u.isBot && channel.memberIds.includes(u.id));

  const inbox = await open(OCHRE_SIGNIN);
  await keep(inbox, '1-sign-in');
  await inbox.getByRole('button').click();
  const { viewer } = await graphql('{ viewer { name } }');
  await inbox.getByText(viewer.name).first().waitFor();

  const sim = await open(SLACKSIM_URL);
  await sim.locator('#user').selectOption(customer.id);
  await sim.locator('#channels').getByText(channel.name).click();
  const question = `Where is my invoice? ${Date.now()}`;
  await writeAsCustomer(sim, question);
  await inbox.getByText(question).first().waitFor(); // by itself, without a reload
  await keep(inbox, '2-inbox');

  const graphiql = await open(`${OCHRE_URL}/graphiql`);
  await graphiql.evaluate((query) => {
    localStorage.clear();
    localStorage.setItem('graphiql:query', query); // as if it had been typed at the last visit
  }, 'subscription { inboxEvents { __typename ... on ConversationCreated { conversation { title } } ... on TimelineEntryAdded { conversation { title } } } }');
  await graphiql.reload();
  await graphiql.locator('.graphiql-query-editor').getByText('inboxEvents').first().click();
  await graphiql.keyboard.press('Control+Enter');
  const result = graphiql.locator('.graphiql-response, .result-window').first();
  await result.getByText('CaughtUp').first().waitFor();
  const second = `And the one of May? ${Date.now()}`;
  await writeAsCustomer(sim, second);
  await result.getByText(second).first().waitFor();
  await keep(graphiql, '3-graphiql');

  const { conversations } = await graphql('{ conversations(first: 5) { nodes { id title } } }');
  const { id } = conversations.nodes.find((c) => c.title === question);
  const answer = `It is on its way ${Date.now()}`;
  await graphql('mutation($i: PostReplyInput!) { postReply(input: $i) { userErrors { message } } }', { i: { conversationId: id, body: answer } });
  const reply = sim.locator('#threads').getByText(answer).first();
  await reply.waitFor();
  await keep(sim, '4-slack');
  assert.ok((await sim.locator('#threads').innerText()).includes(viewer.name), 'the reply does not show the agent');

  await graphql('mutation($i: AddNoteInput!) { addNote(input: $i) { userErrors { message } } }', { i: { conversationId: id, body: 'Only for us' } });
  await inbox.getByText(question).first().click();
  await inbox.getByText(answer).first().waitFor();
  await inbox.getByText('Only for us').first().waitFor();
  await keep(inbox, '5-conversation');

  assert.deepEqual(problems, [], 'the pages reported errors');
});

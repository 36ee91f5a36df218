// Speaks to the server at process.argv[2] with the npm clients; exits with 1 at the first difference.
import assert from 'node:assert/strict';
import { createClient as createSSE } from 'graphql-sse';
import { createClient as createWS } from 'graphql-ws';
import { WebSocket } from 'ws';

const base = process.argv[2];
const url = base.replace('http', 'ws') + '/ws';
const connect = (token, on = {}) =>
  createWS({
    url,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: token === 'good' ? 5 : 0,
    retryWait: async () => {},
    on,
  });

/** All results of one operation, or what it failed with. */
async function all(client, query, variables) {
  const results = [];
  try {
    for await (const r of client.iterate({ query, variables })) results.push(r);
  } catch (e) {
    return { results, error: e };
  }
  return { results };
}

const operations = [
  ['query', '{echo(text:"é"){text}}', [{ data: { echo: { text: 'é' } } }]],
  ['mutation', 'mutation{bump}', [{ data: { bump: 1 } }]],
  ['subscription', 'subscription{count(text:"x",n:2){text}}', ['x-0', 'x-1'].map((text) => ({ data: { count: { text } } }))],
];

async function webSocket() {
  const closed = [];
  const client = connect('good', { closed: (e) => closed.push(e.code) });
  for (const [name, query, want] of operations) {
    assert.deepEqual((await all(client, query)).results, want, name);
  }
  const invalid = await all(client, '{nothing}');
  assert.equal(invalid.error?.[0]?.extensions?.code, 'GRAPHQL_VALIDATION_FAILED');
  const refused = await all(client, 'subscription{refused{text}}');
  assert.equal(refused.error?.[0]?.message, 'not a cursor');

  // Over a restart of the node: closed with 1012, and the client comes back by itself.
  let seen = 0;
  for await (const r of client.iterate({ query: 'subscription{ticks{text}}' })) {
    const i = Number(r.data.ticks.text);
    seen++;
    if (seen === 3) await fetch(base + '/restart');
    if (seen > 3 && i === 0) seen = 100; // counts from 0 again: a new subscription
    if (seen > 105) break;
    assert.ok(seen < 200);
  }
  assert.deepEqual(closed.filter((code) => code !== 1000), [1012]); // 1000: idle between operations
  await client.dispose();

  const stranger = connect('bad');
  const { error } = await all(stranger, '{echo(text:"x"){text}}');
  assert.equal(error?.code, 4403);
}

async function serverSentEvents() {
  const client = createSSE({ url: base + '/sse', retryAttempts: 0 });
  for (const [name, query, want] of operations) {
    assert.deepEqual((await all(client, query)).results, want, name);
  }
  const invalid = await all(client, '{nothing}');
  assert.equal(invalid.results[0]?.errors?.[0]?.extensions?.code, 'GRAPHQL_VALIDATION_FAILED');
  let seen = 0;
  for await (const _ of client.iterate({ query: 'subscription{ticks{text}}' })) {
    if (++seen === 3) break; // the client goes
  }
  client.dispose();
}

await webSocket();
await serverSentEvents();
console.log('2 passed, 0 failed');

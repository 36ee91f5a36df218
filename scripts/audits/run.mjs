// Usage: OCHRE_URL=http://127.0.0.1:8080/graphql OCHRE_TOKEN=… node run.mjs
//
// Runs graphql-http's audits of GraphQL over HTTP against a running Ochre. Whatever is not "ok", also what the audits only warn of,
// is told on stderr and makes the exit status 1. The last line is how many passed.
import { serverAudits } from "graphql-http";

const { OCHRE_URL: url, OCHRE_TOKEN: token } = process.env;
if (!url || !token) {
  console.error("OCHRE_URL (of /graphql) and OCHRE_TOKEN must be set");
  process.exit(2);
}

const fetchFn = (input, init = {}) => {
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${token}`);
  return fetch(input, { ...init, headers });
};

const results = await Promise.all(serverAudits({ url, fetchFn }).map((audit) => audit.fn()));
const failed = results.filter((result) => result.status !== "ok");
for (const { id, name, status, reason } of failed) {
  console.error(`${status} ${id} ${name}: ${reason}`);
}
console.log(`${results.length - failed.length} passed, ${failed.length} failed`);
process.exit(failed.length > 0 ? 1 : 0);

// GraphiQL for Ochre: queries and mutations over fetch, subscriptions over graphql-transport-ws. Who asks is the browser's session,
// unless the headers editor says {"Authorization": "Bearer …"}.
import { createRoot } from "react-dom/client";
import { GraphiQL } from "graphiql";
import { getOperationAST, parse } from "graphql";
import { createClient } from "graphql-ws";
import "graphiql/graphiql.css";
import "./graphiql.css";

const url = new URL("/graphql", location.href);

function authorization(headers) {
  const name = Object.keys(headers ?? {}).find((key) => key.toLowerCase() === "authorization");
  return name && headers[name];
}

function fetcher(params, options) {
  const operation = params.query && getOperationAST(parse(params.query), params.operationName);
  return operation?.operation === "subscription" ? subscribe(params, options?.headers) : post(params, options?.headers);
}

async function post(params, headers) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/graphql-response+json, application/json", ...headers },
    body: JSON.stringify(params),
  });
  return response.json();
}

// subscribe has a socket of its own, so that each subscription runs as who the headers editor says now.
function subscribe(params, headers) {
  const socketURL = new URL(url);
  socketURL.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const token = authorization(headers);
  const client = createClient({
    url: socketURL.href,
    connectionParams: token ? { authorization: token } : undefined,
    lazyCloseTimeout: 0,
  });
  return {
    subscribe(observer) {
      const dispose = client.subscribe(params, {
        next: (value) => observer.next(value),
        complete: () => observer.complete(),
        error: (error) => {
          // A close event has only a code and a reason.
          observer.next(error instanceof CloseEvent ? { errors: [{ message: `${error.code} ${error.reason}` }] } : { errors: [].concat(error) });
          observer.complete();
        },
      });
      return { unsubscribe: () => { dispose(); client.dispose(); } };
    },
  };
}

const welcome = `# Signed in? Then just run this. Otherwise give a token in Headers, below: {"Authorization": "Bearer …"}
query Newest {
  viewer { name role }
  conversations(first: 10) {
    nodes { id number title status preview }
  }
}

subscription Live {
  inboxEvents { __typename cursor }
}
`;

createRoot(document.querySelector("#graphiql")).render(
  <GraphiQL fetcher={fetcher} defaultQuery={welcome} isHeadersEditorEnabled shouldPersistHeaders={false} defaultEditorToolsVisibility />,
);

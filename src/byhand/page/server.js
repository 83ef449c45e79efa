/* The server, as the page knows it: questions, orders, and the stream of what happens. */

/** Milliseconds until what was not answered is asked again. */
export const RETRY = 2000;

/** What the server refused, in its own words; `status` is 0 when it didn't answer at all. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, options);
  } catch {
    throw new Refused("The playground doesn't answer: was it stopped?", 0);
  }
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({ error: `the playground answered ${answer.status}` }));
  throw new Refused(error, answer.status);
}

export const ask = async (path) => (await call(path)).json();

export const order = async (path, body) => {
  const headers = { "content-type": "application/json" };
  return (await call(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
};

/** The weights of the model in use, and which version of which training they are. */
export async function weights() {
  const answer = await call("weights");
  const [training, version] = ["x-training", "x-version"].map((name) => Number(answer.headers.get(name)));
  return { training, version, weights: new Float32Array(await answer.arrayBuffer()) };
}

export const download = async (path) => (await call(path)).blob();

/**
 * Follow the events after the one with that id. The browser reconnects by itself and says what it saw last; where it
 * gives up, a new stream takes over from there. `lost(true)` is called while nobody answers. What comes back is a
 * function that ends it.
 */
export function follow(last, happened, lost) {
  let seen = last;
  let stream = null;
  let retry = null;
  const connect = () => {
    stream = new EventSource(`/api/events?after=${encodeURIComponent(seen)}`);
    stream.onopen = () => lost(false);
    stream.onmessage = ({ data, lastEventId }) => {
      seen = lastEventId || seen;
      happened(JSON.parse(data));
    };
    stream.onerror = () => {
      lost(true);
      if (stream.readyState !== EventSource.CLOSED) return;
      retry = setTimeout(connect, RETRY);
    };
  };
  connect();
  return () => {
    clearTimeout(retry);
    stream.close();
  };
}

/** base64 of bytes and back, as the server writes pictures. */
export const encode = (bytes) => btoa(String.fromCharCode(...bytes));
export const decode = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

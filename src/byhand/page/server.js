/* Client of the server: GET (`ask`), POST (`order`), and the event stream. */

/** Milliseconds before a retry. */
export const RETRY = 2000;

/** An error response; `status` is 0 if there was no response. */
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
    throw new Refused("The playground does not respond: is it still running?", 0);
  }
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({ error: `the playground returned status ${answer.status}` }));
  throw new Refused(error, answer.status);
}

export const ask = async (path) => (await call(path)).json();

export const order = async (path, body) => {
  const headers = { "content-type": "application/json" };
  return (await call(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
};

/** Fetch the weights of the current model, with their training and version. */
export async function weights() {
  const answer = await call("weights");
  const [training, version] = ["x-training", "x-version"].map((name) => Number(answer.headers.get(name)));
  return { training, version, weights: new Float32Array(await answer.arrayBuffer()) };
}

export const download = async (path) => (await call(path)).blob();

/**
 * Follow the events after the one with that id; return a function that stops. The browser reconnects and sends the id of
 * its last event; if it gives up, a new stream is opened. `lost(true)` is called without a connection.
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

/** Bytes to base64, and back. */
export const encode = (bytes) => btoa(String.fromCharCode(...bytes));
export const decode = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

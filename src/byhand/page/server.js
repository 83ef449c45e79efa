/* Client of the server: the token, GET (`ask`), POST (`order`), and the event stream. */

/** Milliseconds before a retry. */
export const RETRY = 2000;
/** Milliseconds of silence after which the server is regarded as lost; it sends a comment every 15 seconds. */
const SILENCE = 25_000;
/** Milliseconds that other tabs have to answer. */
const PATIENCE = 400;
const KEY = "byhand-token";

/** An error response; `status` is 0 if there was no response. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * Take the token from the address, where the first page has it, or from another tab of this playground. It is kept for
 * this tab: a cookie would go to every server on this machine.
 */
export async function authenticate() {
  const given = new URLSearchParams(location.search).get("token");
  if (given) sessionStorage.setItem(KEY, given);
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  const tabs = new BroadcastChannel("byhand");
  if (!sessionStorage.getItem(KEY)) {
    await new Promise((resolve) => {
      setTimeout(resolve, PATIENCE);
      tabs.onmessage = ({ data }) => {
        if (!data.token) return;
        sessionStorage.setItem(KEY, data.token);
        resolve();
      };
      tabs.postMessage({ asks: true });
    });
  }
  tabs.onmessage = ({ data }) => {
    const token = sessionStorage.getItem(KEY);
    if (data.asks && token) tabs.postMessage({ token });
  };
}

async function call(path, options = {}) {
  let answer;
  try {
    const headers = { ...options.headers, "x-byhand-token": sessionStorage.getItem(KEY) ?? "" };
    answer = await fetch(`/api/${path}`, { ...options, headers });
  } catch {
    throw new Refused("The playground does not respond: is it still running?", 0);
  }
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({ error: `the playground returned status ${answer.status}` }));
  if (answer.status === 403) sessionStorage.removeItem(KEY); // of an earlier launch: not for other tabs
  throw new Refused(error, answer.status);
}

export const ask = async (path) => (await call(path)).json();

export const order = async (path, body) => {
  const headers = { "content-type": "application/json" };
  return (await call(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
};

/** Send a file. */
export const send = async (path, body) => {
  const headers = { "content-type": "application/octet-stream" };
  return (await call(path, { method: "POST", headers, body })).json();
};

/** Fetch the weights of the current model, with their training and version. */
export async function weights() {
  const answer = await call("weights");
  const [training, version] = ["x-training", "x-version"].map((name) => Number(answer.headers.get(name)));
  return { training, version, weights: new Float32Array(await answer.arrayBuffer()) };
}

export const download = async (path) => (await call(path)).blob();

/**
 * Follow the events after the one with that id; return a function that stops. It connects again with the id of the last
 * event, unless the token is refused. `lost(error)` is called without a connection, with the error, and `lost(null)` with
 * one. An EventSource cannot send the token in a header.
 */
export function follow(last, happened, lost) {
  let seen = last;
  let watchdog = null;
  let connection = null;
  let isOver = false;
  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => connection.abort(), SILENCE);
  };
  const read = async () => {
    connection = new AbortController();
    heard();
    const { body } = await call(`events?after=${encodeURIComponent(seen)}`, { signal: connection.signal });
    lost(null);
    let text = "";
    for await (const part of parts(body.pipeThrough(new TextDecoderStream()))) {
      heard();
      const blocks = (text + part).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
        if (!fields.data) continue;
        seen = fields.id ?? seen;
        happened(JSON.parse(fields.data));
        if (isOver) return;
      }
    }
  };
  const connect = async () => {
    while (!isOver) {
      try {
        await read();
      } catch (error) {
        if (!isOver) lost(error);
        isOver ||= error.status === 403;
      }
      clearTimeout(watchdog);
      if (!isOver) await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
  };
  connect();
  return () => {
    isOver = true;
    clearTimeout(watchdog);
    connection.abort();
  };
}

/** The parts of a stream. (Not every browser iterates over a stream itself.) */
async function* parts(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** Bytes to base64, and back. */
export const encode = (bytes) => btoa(String.fromCharCode(...bytes));
export const decode = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

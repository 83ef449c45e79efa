/* The client of the server: token, event stream, and reconnection. The server is a replaced `fetch`. */

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

let removed = 0;
Object.assign(globalThis, {
  sessionStorage: { getItem: () => "secret", removeItem: () => (removed += 1) },
});
const { RETRY, ask, follow } = await import("../../src/byhand/page/server.js");

/** Milliseconds of silence after which a stream is lost: the server sends a comment every 15 seconds. */
const SILENCE = 25_000;

/** Requests so far, and what each call of `fetch` returns: a Response, or a function of its signal. */
let requests = [];
let answers = [];

beforeEach(() => {
  requests = [];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  globalThis.fetch = async (path, { headers, signal }) => {
    requests.push({ path, headers });
    return answers.shift()(signal);
  };
});

/** A stream of these parts, which stays open until it is aborted. */
const open = (...parts) => (signal) => {
  const encoder = new TextEncoder();
  const start = (controller) => {
    for (const part of parts) controller.enqueue(encoder.encode(part));
    signal.addEventListener("abort", () => controller.error(new Error("aborted")));
  };
  return new Response(new ReadableStream({ start }));
};
const ended = (text) => () => new Response(text);
const settled = async () => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
  await new Promise(setImmediate);
};

/** Follow the answers; return the lists of events and of lost connections. */
function following(...given) {
  answers = given;
  const events = [];
  const lost = [];
  const leave = follow("a-1", (event) => events.push(event), (error) => lost.push(error?.status ?? error?.message ?? "connected"));
  return { events, lost, leave };
}

test("each request has the token in a header", async () => {
  answers = [ended('{"step": 3}')];
  assert.deepEqual(await ask("state"), { step: 3 });
  assert.deepEqual(requests, [{ path: "/api/state", headers: { "x-byhand-token": "secret" } }]);
});

test("an event that arrives in parts is read once it is whole", async () => {
  const { events, leave } = following(open("retry: 1000\n\nid: a-2\nda", 'ta: {"step": 1', "}\n\n: ping\n\nid: a-3\ndata: {}\n\n"));
  await settled();
  assert.deepEqual(events, [{ step: 1 }, {}]);
  assert.equal(requests[0].path, "/api/events?after=a-1");
  leave();
});

test("a stream that ends is continued after its last event", async () => {
  const { events, lost, leave } = following(ended("id: a-7\ndata: {}\n\nid: a-8\ndata: {"), open("id: a-8\ndata: {}\n\n"));
  await settled();
  assert.deepEqual(lost, ["connected"]);
  mock.timers.tick(RETRY);
  await settled();
  assert.equal(requests[1].path, "/api/events?after=a-7");
  assert.deepEqual([events.length, lost.at(-1)], [2, "connected"]);
  leave();
});

test("a server that sends nothing is noticed", async () => {
  const { lost, leave } = following(open(": ping\n\n"), open());
  await settled();
  mock.timers.tick(SILENCE - 1);
  await settled();
  assert.deepEqual(lost, ["connected"]);
  mock.timers.tick(1);
  await settled();
  assert.deepEqual(lost, ["connected", "aborted"]);
  mock.timers.tick(RETRY);
  await settled();
  assert.equal(requests.length, 2);
  leave();
});

test("a stream that was left says nothing more", async () => {
  const { lost, leave } = following(open());
  await settled();
  leave();
  await settled();
  mock.timers.tick(10 * RETRY);
  assert.deepEqual([lost, requests.length], [["connected"], 1]);
});

test("a refused token is forgotten, and nothing is asked again", async () => {
  const { lost } = following(() => new Response('{"error": "the token"}', { status: 403 }));
  await settled();
  mock.timers.tick(10 * RETRY);
  await settled();
  assert.deepEqual([lost, requests.length, removed], [[403], 1, 1]);
});

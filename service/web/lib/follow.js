// Follows an explanation until it is done: by its stream of events, or by asking again and again.
//
// EventSource cannot send a key, so the stream is read by fetch.
import { Refused, getJson, request } from "./api.js";

const FIRST_EVENT_S = 5; // a proxy that gathers answers would hold events back for longer
const POLL_S = 2; // how long one question may wait for an end

// Calls `onDocument` with each newer document, and `onPreview` with each preview; returns the last
// document, which is done.
export async function follow(id, onDocument, onPreview, signal) {
  const path = `v1/explanations/${id}`;
  let document = await getJson(path, { signal });
  let streams = true;
  for (;;) {
    onDocument(document);
    if (document.done) return document;
    if (streams) {
      const take = {
        progress: (next) => onDocument((document = next)),
        done: (last) => onDocument((document = last)),
        preview: onPreview,
      };
      streams = await readStream(`${path}/events?previews=true`, take, signal);
      if (document.done) return document;
      document = await getJson(path, { signal }); // or the reason why there is none any more
    } else {
      document = await getJson(path, { signal, headers: { Prefer: `wait=${POLL_S}` } });
      if (document.status === "running") await askPreview(`${path}/preview`, onPreview, signal);
      if (!document.done) await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}

async function askPreview(path, onPreview, signal) {
  try {
    onPreview(await getJson(path, { signal }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error; // there is none yet, or it has ended meanwhile
  }
}

// Calls the function of each event's name. Returns whether it is worth while to read on.
async function readStream(path, take, signal) {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  signal.addEventListener("abort", stop, { once: true });
  let events = 0;
  const timer = setTimeout(() => events || stop(), 1000 * FIRST_EVENT_S);
  try {
    const response = await request(path, {
      signal: stopping.signal,
      headers: { Accept: "text/event-stream" },
    });
    if (!response.body) return false;
    for await (const { event, data } of eventsOf(response.body)) {
      events += 1;
      take[event]?.(JSON.parse(data));
      if (event === "done" || event === "gone") return true;
    }
  } catch (error) {
    if (signal.aborted || (!stopping.signal.aborted && error.name !== "TypeError")) throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    stopping.abort();
  }
  return events > 0; // broken off: the server was restarted, or a proxy has had enough
}

// Yields {event, data} of a body of server-sent events.
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text = (text + value).replaceAll("\r\n", "\n");
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const event = { event: "message", data: "" };
      for (const line of part.split("\n")) {
        const [, field, rest] = line.match(/^(\w+): ?(.*)$/) ?? [];
        if (field) event[field] = rest;
      }
      yield event;
    }
  }
}

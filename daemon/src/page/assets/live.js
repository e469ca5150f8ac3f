// Live data: one event stream says that something changed, the same address is fetched again, and what differs is
// written into the document in place, so that focus, open details, scroll and typed text stay.

import { now, setNow } from "./time.js";

const EVENTS = [
  "started", "engine-up", "engine-down", "inventory-changed", "check-started", "check-finished", "candidate-found",
  "update-started", "update-step", "update-finished", "approved", "paused", "resumed", "panel-changed", "gesture",
  "claimed", "factory-reset", "logged-in", "view-changed", "lagged", "message",
];

// What belongs to the reader or to the script, not to the server.
const OURS = new Set(["open", "aria-disabled", "hidden", "data-label"]);

function attributes(from, to) {
  for (const { name, value } of to.attributes) if (!OURS.has(name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const { name } of [...from.attributes]) if (!OURS.has(name) && !to.hasAttribute(name)) from.removeAttribute(name);
}

// What a part is, apart from where it stands: a section is known by its heading.
const keyOf = (node) => (node.nodeType === 1 ? node.dataset.key || node.id || node.getAttribute("aria-labelledby") || "" : "");

export function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) return from.replaceWith(document.importNode(to, true));
  if (from.nodeType !== 1) { if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue; return; }
  if (from.matches("input:not([type=hidden])")) return;
  attributes(from, to);
  const keyed = new Map();
  for (const child of from.children) if (keyOf(child)) keyed.set(keyOf(child), child);
  let at = from.firstChild;
  for (const wanted of to.childNodes) {
    const key = keyOf(wanted);
    const known = key ? keyed.get(key) : null;
    if (known && known.nodeName === wanted.nodeName) {
      if (known === at) at = at.nextSibling;
      else from.insertBefore(known, at);
      keyed.delete(key);
      morph(known, wanted);
    } else if (at && !keyOf(at) && !key && at.nodeType === wanted.nodeType && at.nodeName === wanted.nodeName) {
      const next = at.nextSibling;
      morph(at, wanted);
      at = next;
    } else {
      from.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) { const next = at.nextSibling; at.remove(); at = next; }
}

export function follow({ say, again }) {
  const line = document.querySelector("[data-lost]");
  let seen = now();
  let source = null;
  let timer = 0;
  let wait = 0;
  let working = false;
  let dirty = false;

  function lost(is) {
    document.body.classList.toggle("stale", is);
    line.hidden = !is;
    if (is) line.textContent = say("lost", { time: new Date(seen).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) });
  }

  async function refresh() {
    if (document.hidden) { dirty = true; return; }
    if (working) { dirty = true; return; }
    working = true;
    dirty = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.status >= 500) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      // Logged out, or the container is gone: that is another place, not an update of this one.
      if (fresh.documentElement.dataset.place !== document.documentElement.dataset.place) return void location.reload();
      setNow(fresh);
      seen = now();
      for (const part of document.querySelectorAll("[data-live]")) {
        const wanted = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
        if (wanted) morph(part, wanted);
      }
      lost(false);
      again();
    } catch {
      lost(true);
      plan(5000);
    } finally {
      working = false;
      if (dirty) plan();
    }
  }

  function plan(delay = 150) {
    if (timer) return;
    timer = setTimeout(() => { timer = 0; refresh(); }, delay);
  }

  function open() {
    source = new EventSource("/api/v1/events");
    for (const name of EVENTS) source.addEventListener(name, () => plan());
    source.onopen = () => { clearTimeout(wait); wait = 0; if (!line.hidden || dirty) plan(); };
    source.onerror = () => {
      // A restart of the daemon takes a moment; only what lasts is worth a word.
      if (!wait) wait = setTimeout(() => { wait = 0; refresh(); }, 2000);
      if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (!document.hidden) { source.close(); open(); } }, 5000);
    };
  }

  // A hidden tab holds no connection: a phone in a pocket must not keep a radio awake.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; } else if (!source) { open(); plan(0); }
  });
  if (!document.hidden) open();
  return { refresh: () => plan(50) };
}

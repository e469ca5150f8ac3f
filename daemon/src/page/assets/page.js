// The page's life: everything here only adds to what works without it. No text of its own: `say` reads the server's.

import { follow } from "./live.js";
import "./panel.js";
import { tick } from "./time.js";

const words = JSON.parse(document.querySelector('meta[name="words"]').content);
export const say = (key, values = {}) =>
  Object.entries(values).reduce((text, [k, v]) => text.replace(`{${k}}`, v), words[key] ?? key);

// Messages: good news goes by itself, bad news stays until it was read.
const toasts = document.querySelector(".toasts");
export function toast(text, bad = false) {
  const box = document.createElement("div");
  box.className = bad ? "toast fault" : "toast";
  const line = document.createElement("span");
  line.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = say("dismiss");
  close.addEventListener("click", () => box.remove());
  box.append(line, close);
  while (toasts.children.length > 2) toasts.firstElementChild.remove();
  toasts.append(box);
  if (!bad) setTimeout(() => box.remove(), 8000);
}

// Forms. What was asked is remembered by its content, so that the button stays busy when live data redraws it.
const under = new Set();
const nameOf = (form) => form.getAttribute("action") + "?" + new URLSearchParams(
  [...new FormData(form)].filter(([name]) => !["password", "code", "return", "fingerprint"].includes(name)));

export function markBusy() {
  for (const form of document.querySelectorAll("form[data-act]")) {
    const button = form.querySelector("button[type=submit]");
    const label = button?.querySelector(".label");
    if (!label) continue;
    const busy = under.has(nameOf(form));
    if (busy === (button.getAttribute("aria-disabled") === "true")) continue;
    if (busy) {
      button.dataset.label = label.textContent;
      label.textContent = button.dataset.busy;
      button.setAttribute("aria-disabled", "true");
    } else {
      label.textContent = button.dataset.label ?? label.textContent;
      button.removeAttribute("aria-disabled");
    }
  }
}

const dialog = document.querySelector("dialog.question");
function ask(form) {
  if (!form.dataset.ask) return Promise.resolve(true);
  dialog.querySelector("h2").textContent = form.dataset.ask;
  dialog.querySelector("p").textContent = form.dataset.askText ?? "";
  const yes = dialog.querySelector("[data-yes]");
  yes.textContent = form.querySelector(".label").textContent;
  return new Promise((answer) => {
    let agreed = false;
    yes.onclick = () => { agreed = true; dialog.close(); };
    dialog.querySelector("[data-no]").onclick = () => dialog.close();
    dialog.onclose = () => answer(agreed);
    dialog.showModal();
  });
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-act]");
  if (!form || !window.fetch) return;
  event.preventDefault();
  const name = nameOf(form);
  if (under.has(name) || !(await ask(form))) return;
  const leave = form.dataset.leave ?? (form.action.endsWith("/logout") ? "/" : null);
  under.add(name);
  markBusy();
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) {
      if (leave !== null) return void location.assign(leave);
      toast(said.message || say("done"), said.code > 0 && said.code !== 10);
    } else {
      const error = said.error ?? {};
      toast([error.message, error.remedy].filter(Boolean).join(" ") || say("failed"), true);
      form.querySelector("input[type=password]")?.select();
    }
  } catch {
    toast(say("failed"), true);
  } finally {
    under.delete(name);
    markBusy();
    live?.refresh();
  }
});

// Filter as you type; what is typed outlives live data.
export function filter() {
  const box = document.querySelector("[data-filter-box]");
  const input = document.querySelector("[data-filter]");
  if (!input) return;
  box.hidden = false;
  const parts = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = document.querySelectorAll("[data-text]");
  let shown = 0;
  for (const row of rows) {
    const text = row.dataset.text.toLowerCase();
    row.hidden = !parts.every((part) => text.includes(part));
    if (!row.hidden) shown += 1;
  }
  for (const group of document.querySelectorAll("[data-group]")) group.hidden = !group.querySelector("[data-text]:not([hidden])");
  const found = document.querySelector("[data-found]");
  const text = parts.length ? say("found", { n: shown, all: rows.length }) : "";
  if (found.textContent !== text) found.textContent = text;
  document.querySelector("[data-found-none]").hidden = shown > 0 || !parts.length;
}
document.addEventListener("input", (event) => event.target.matches("[data-filter]") && filter());

// Colours: as the system, light, dark. The cookie lets the server draw the next page right from the start.
const order = ["", "light", "dark"];
const knob = document.querySelector("[data-theme-switch]");
function theme(value) {
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
  document.querySelector('meta[name="color-scheme"]').content = value || "light dark";
  document.cookie = `dockbeacon_theme=${value}; path=/; max-age=${value ? 31536000 : 0}; samesite=strict`;
  try { localStorage.setItem("theme", value); } catch { /* a private window keeps nothing */ }
  const text = say(value === "light" ? "themeLight" : value === "dark" ? "themeDark" : "themeSystem");
  knob.querySelector(".vh").textContent = text;
  knob.title = text;
}
knob.hidden = false;
let chosen = document.documentElement.dataset.theme ?? "";
try { chosen ||= localStorage.getItem("theme") ?? ""; } catch { /* as above */ }
theme(order.includes(chosen) ? chosen : "");
knob.addEventListener("click", () => theme(order[(order.indexOf(document.documentElement.dataset.theme ?? "") + 1) % 3]));

// Ids are shortened to the eye and whole in the clipboard.
document.addEventListener("copy", (event) => {
  const id = document.activeElement?.closest?.(".id");
  if (!id || !event.clipboardData) return;
  event.clipboardData.setData("text/plain", id.dataset.whole);
  event.preventDefault();
});
document.addEventListener("click", async (event) => {
  const id = event.target.closest(".id");
  if (!id || !navigator.clipboard) return;
  try { await navigator.clipboard.writeText(id.dataset.whole); toast(say("copied")); } catch { /* not allowed: it is shown whole */ }
});

const again = () => { filter(); markBusy(); tick(); };
const live = document.querySelector("[data-follow]") ? follow({ say, again }) : null;
again();
// Where the list has its own scroll, the chosen row must be in sight.
if (matchMedia("(min-width: 900px)").matches) {
  const list = document.querySelector(".beside:not(.even) > .list");
  const row = list?.querySelector("a[aria-current]");
  const below = row ? row.getBoundingClientRect().bottom - Math.min(list.getBoundingClientRect().bottom, innerHeight) : 0;
  if (below > 0) list.scrollTop += below + list.clientHeight / 3;
}
setInterval(() => tick(), 30000);
setInterval(() => tick(true), 1000);

// Times that go on by themselves between two answers of the server, by the server's own rule and clock.

const words = JSON.parse(document.querySelector('meta[name="words"]').content);
// A device and a reader seldom agree on the time; the difference is fixed when the page comes in.
let skew = 0;
export function setNow(document) {
  const now = Date.parse(document.querySelector('meta[name="now"]')?.content);
  if (Number.isFinite(now)) skew = now - Date.now();
}
setNow(document);
export const now = () => Date.now() + skew;

const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const some = (n, unit) => words[n === 1 ? unit : unit + "s"].replace("{n}", n);

function ago(seconds) {
  if (seconds < 60) return words.now;
  if (seconds < 3600) return some(Math.floor(seconds / 60), "minute");
  if (seconds < 86400) return some(Math.floor(seconds / 3600), "hour");
  if (seconds < 1209600) return some(Math.floor(seconds / 86400), "day");
  return null;
}

function spent(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

export function tick(fast = false) {
  if (document.hidden || document.body.classList.contains("stale")) return;
  for (const e of document.querySelectorAll("[data-running]")) put(e, spent((now() - Date.parse(e.dataset.running)) / 1000));
  if (fast) return;
  for (const e of document.querySelectorAll("[data-ago]")) {
    const text = ago((now() - Date.parse(e.dateTime)) / 1000);
    if (text) put(e, text);
  }
}

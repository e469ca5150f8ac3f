// The lamps of the virtual panel: the rhythm comes from the server, counted from when the state began, so that every
// page shows the same beat at the same moment as the lamps on the device.

import { now } from "./time.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

// "level,milliseconds,fade ..." to key frames of one period.
function frames(beats) {
  const all = beats.split(" ").filter(Boolean).map((beat) => beat.split(",").map(Number));
  const period = all.reduce((sum, [, ms]) => sum + ms, 0);
  if (!period) return null;
  const out = [];
  let at = 0;
  let level = all.at(-1)[0];
  for (const [to, ms, fade] of all) {
    const smooth = fade && !calm.matches;
    out.push({ offset: at / period, opacity: smooth ? level : to, easing: smooth ? "ease-in-out" : "steps(1, end)" });
    at += ms;
    level = to;
  }
  out.push({ offset: 1, opacity: level });
  return { out, period };
}

class BeaconPanel extends HTMLElement {
  connectedCallback() {
    this.light();
    this.watch = new MutationObserver(() => this.light());
    this.watch.observe(this, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-beats", "data-since"] });
    calm.addEventListener("change", () => { this.shown = ""; this.light(); });
  }

  disconnectedCallback() { this.watch?.disconnect(); }

  light() {
    const lamps = [...this.querySelectorAll("[data-beats]")];
    const shown = this.dataset.since + "|" + lamps.map((lamp) => lamp.dataset.beats).join("|");
    if (shown === this.shown) return;
    this.shown = shown;
    const since = Number(this.dataset.since) || 0;
    for (const lamp of lamps) {
      for (const old of lamp.getAnimations()) old.cancel();
      const rhythm = frames(lamp.dataset.beats);
      if (!rhythm) continue;
      const lit = lamp.animate(rhythm.out, { duration: rhythm.period, iterations: Infinity });
      lit.currentTime = (((now() - since) % rhythm.period) + rhythm.period) % rhythm.period;
    }
  }
}
customElements.define("beacon-panel", BeaconPanel);

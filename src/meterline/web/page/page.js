"use strict";
// Puts what the server sends where it belongs. Whatever is not confirmed any more goes away: no number outlives its connection.
(() => {
  const QUIET = 5000; // ms without a message until the connection counts as lost: one comes every second
  const page = document.body;
  const banner = document.getElementById("lost");
  const places = new Map();
  for (const place of document.querySelectorAll("[data-slot]")) places.set(place.dataset.slot, place);
  let source = null;
  let heard = performance.now();
  let retry = 0;

  const localise = (within) => {
    for (const time of within.querySelectorAll("time")) {
      const then = new Date(time.dateTime);
      const far = Math.abs(Date.now() - then) > 43200000;
      time.textContent = then.toLocaleString(document.documentElement.lang, {
        hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(far && { year: "numeric", month: "short", day: "numeric" }),
      });
    }
  };

  const show = (message) => {
    heard = performance.now();
    if (message.mark && message.mark !== page.dataset.mark) {
      location.reload();
      return;
    }
    if (message.mark && page.classList.contains("lost")) {
      page.classList.remove("lost");
      banner.textContent = "";
    }
    for (const [name, html] of Object.entries(message.slots)) {
      const place = places.get(name);
      if (place) {
        place.innerHTML = html;
        localise(place);
      }
    }
  };

  const lost = () => {
    if (page.classList.contains("lost")) return;
    page.classList.add("lost");
    banner.textContent = page.dataset.lost;
    for (const place of places.values()) place.textContent = "";
  };

  const close = () => {
    clearTimeout(retry);
    if (source) source.close();
    source = null;
  };

  const open = () => {
    close();
    heard = performance.now();
    source = new EventSource(page.dataset.events);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.onerror = () => {
      // Refused (too many streams, or a proxy without its server): ask now and then instead, until one is free.
      if (source && source.readyState === EventSource.CLOSED) ask();
      else lost();
    };
  };

  const ask = async () => {
    close();
    try {
      const answer = await fetch(page.dataset.events + "&once=1", { signal: AbortSignal.timeout(QUIET) });
      if (!answer.ok) throw new Error(answer.status);
      show(await answer.json());
    } catch {
      lost();
    }
    if (!source && !document.hidden) retry = setTimeout(open, 3000 + 1500 * Math.random());
  };

  const look = () => {
    if (performance.now() - heard < QUIET || document.hidden) return;
    lost();
    open();
  };

  // A hidden page holds no connection: a browser has six for each server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else {
      if (performance.now() - heard > 2000) lost();
      open();
    }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      lost();
      open();
    }
  });
  setInterval(look, 1000);
  localise(document);
  if (!document.hidden) open();
})();

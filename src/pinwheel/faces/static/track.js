// Counting visits, first-party, only after a yes. Every page works without this.
//
// A browser that sends Do Not Track or Global Privacy Control is not asked and not counted. Without
// a yes nothing is kept in the browser and nothing is sent but that a page failed, with no name.

const BATCH = 10;
const WAIT_MS = 5000;
const YEAR_SECONDS = 365 * 86400;
const refuses = navigator.globalPrivacyControl === true || navigator.doNotTrack === "1";
const queue = [];
let timer = 0;

function answer() {
  const found = document.cookie.match(/(?:^|; )counted=(yes|no)/);
  return found ? found[1] : "";
}

const mayCount = () => !refuses && answer() === "yes";

function kept(store, name) {
  try {
    const found = store.getItem(name) || crypto.randomUUID();
    store.setItem(name, found);
    return found;
  } catch {
    return "";
  }
}

const visitor = () => (mayCount() ? kept(localStorage, "visitor_id") : "");
const session = () => (mayCount() ? kept(sessionStorage, "session_id") : "");
const bare = (path) => path.replace(/[?#].*$/, "").slice(0, 300);

function context() {
  if (!mayCount()) return {};
  const asked = new URLSearchParams(location.search);
  let referrer = "";
  try {
    const from = new URL(document.referrer);
    if (from.origin !== location.origin) referrer = from.origin;
  } catch {
    // No referrer is no referrer.
  }
  return {
    page: bare(location.pathname),
    referrer,
    language: document.documentElement.lang.slice(0, 20),
    width: window.innerWidth,
    source: (asked.get("utm_source") || "").slice(0, 100),
    medium: (asked.get("utm_medium") || "").slice(0, 100),
    campaign: (asked.get("utm_campaign") || "").slice(0, 100),
  };
}

function flush() {
  clearTimeout(timer);
  timer = 0;
  while (queue.length) {
    const body = JSON.stringify({
      sent_at: new Date().toISOString(),
      visitor_id: visitor(),
      session_id: session(),
      consent: mayCount(),
      context: context(),
      events: queue.splice(0, 50),
    });
    // text/plain: a simple request, which a page that is closing may still send.
    if (!navigator.sendBeacon("/api/v1/tracking/beacon", body)) return;
  }
}

/** Count `name` with `properties`, as its schema has them. */
export function track(name, properties = {}) {
  if (!mayCount() && name !== "page_failed") return;
  queue.push({ id: crypto.randomUUID(), name, occurred_at: new Date().toISOString(), properties });
  if (queue.length >= BATCH) flush();
  else if (!timer) timer = setTimeout(flush, WAIT_MS);
}

function countPage() {
  track("page_viewed", { page: bare(location.pathname) });
  for (const mark of document.querySelectorAll("[data-track]")) {
    let properties = {};
    try {
      properties = JSON.parse(mark.dataset.trackProperties || "{}");
    } catch {
      continue;
    }
    track(mark.dataset.track, properties);
  }
}

function say(yes) {
  const before = visitor();
  document.cookie = `counted=${yes ? "yes" : "no"}; path=/; max-age=${YEAR_SECONDS}; samesite=lax`;
  const visitorId = yes ? visitor() : before;
  if (visitorId) {
    fetch("/api/v1/tracking/consent", {
      method: "POST",
      keepalive: true,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ visitor_id: visitorId, is_granted: yes }),
    }).catch(() => {});
  }
  if (yes) countPage();
  else {
    queue.length = 0;
    try {
      localStorage.removeItem("visitor_id");
      sessionStorage.removeItem("session_id");
    } catch {
      // A browser that keeps nothing has nothing to forget.
    }
  }
}

function wireQuestion() {
  const question = document.querySelector("[data-count-question]");
  const again = document.querySelector("[data-count-again]");
  if (!question || refuses) return;
  if (again) {
    again.hidden = false;
    again.addEventListener("click", () => {
      question.hidden = false;
      question.querySelector("button").focus();
    });
  }
  for (const button of question.querySelectorAll("[data-count-answer]")) {
    button.addEventListener("click", () => {
      say(button.dataset.countAnswer === "yes");
      question.hidden = true;
    });
  }
  question.hidden = answer() !== "";
}

function wireCart() {
  const added = (event) => {
    const form = event.target.closest?.("form");
    if (!form || !/\/cart\/lines$/.test(form.action)) return;
    const fields = new FormData(form);
    const offer = fields.get("offer_id");
    const quantity = Number.parseInt(fields.get("quantity") || "1", 10);
    if (offer) track("cart_changed", { change: "added", offer_id: offer, quantity });
  };
  document.addEventListener("submit", added, { capture: true });
}

wireQuestion();
wireCart();
countPage();
const trap = document.querySelector("[data-trap]");
if (trap && mayCount()) trap.href += `?session_id=${session()}`;
addEventListener("error", () => track("page_failed", { kind: "script" }));
addEventListener("visibilitychange", () => document.visibilityState === "hidden" && flush());
addEventListener("pagehide", flush);

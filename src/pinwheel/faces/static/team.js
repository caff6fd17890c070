// What the teams' pages gain from JavaScript: seconds that count, seats that change by themselves, a
// link that is copied by one press. Without it the page looks again every 20 seconds.
const pad = (n) => String(n).padStart(2, "0");

function countDown() {
  for (const time of document.querySelectorAll("time[data-countdown]")) {
    const left = Math.max(0, Math.floor((Date.parse(time.dateTime) - Date.now()) / 1000));
    if (left >= 86400) continue;
    const words = `${pad(Math.floor(left / 3600))}:${pad(Math.floor((left % 3600) / 60))}:${pad(left % 60)}`;
    if (time.textContent !== words) time.textContent = words;
  }
}

function listen(box) {
  let last = null;
  const source = new EventSource(box.dataset.teamLive);
  source.addEventListener("message", (event) => {
    const changed = last !== null && last !== event.data;
    last = event.data;
    if (changed) window.htmx?.ajax("GET", box.dataset.teamPage, { target: "#team-live", swap: "outerHTML" });
    const state = JSON.parse(event.data)[0];
    if (state === "formed" || state === "failed") source.close();
  });
  addEventListener("pagehide", () => source.close(), { once: true });
}

for (const box of document.querySelectorAll("[data-team-live]")) listen(box);
for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.querySelector(button.dataset.copy);
  const copied = button.parentElement.querySelector("[data-copied]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy");
    }
    copied.hidden = false;
  });
}
countDown();
setInterval(countDown, 1000);

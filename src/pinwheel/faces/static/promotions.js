// Seconds that count on the deals' page. Without JavaScript the page says the instant; the server opens
// and closes a deal by its own clock in either case.
const pad = (n) => String(n).padStart(2, "0");

function countDown() {
  for (const time of document.querySelectorAll("time[data-countdown]")) {
    const left = Math.max(0, Math.floor((Date.parse(time.dateTime) - Date.now()) / 1000));
    if (left >= 86400) continue;
    const words = `${pad(Math.floor(left / 3600))}:${pad(Math.floor((left % 3600) / 60))}:${pad(left % 60)}`;
    if (time.textContent !== words) time.textContent = words;
  }
}

countDown();
setInterval(countDown, 1000);

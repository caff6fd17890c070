// What the console gains from JavaScript. Every page works without it.
import { wireDialogs, wireTables, wireToasts } from "./pieces.js";

function wireSelectAll(root) {
  for (const all of root.querySelectorAll("input[data-all]:not([data-wired])")) {
    all.dataset.wired = "";
    all.addEventListener("change", () => {
      for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
      wireChosen();
    });
  }
}

// How many are chosen, said beside the button that acts on them.
function wireChosen() {
  for (const place of document.querySelectorAll("[data-chosen]")) {
    place.textContent = document.querySelectorAll(`input[name="${place.dataset.chosen}"]:checked`).length;
  }
}

// One opened form at a time; Escape and a press elsewhere close it, and the focus goes back.
function closeDeeds(except) {
  for (const deed of document.querySelectorAll("details.deed[open], details.who[open]")) if (deed !== except) deed.open = false;
}
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details.deed") || !event.target.open) return;
  closeDeeds(event.target);
  event.target.querySelector(".deed-box :is(input:not([type=hidden]), select, textarea)")?.focus({ preventScroll: true });
}, true);
document.addEventListener("click", (event) => {
  const deed = event.target.closest("details.deed, details.who");
  if (!deed) closeDeeds(null);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const deed = document.querySelector("details.deed[open], details.who[open]");
  if (deed) {
    deed.open = false;
    deed.querySelector("summary").focus();
  }
});
// A part that renews itself waits while somebody works in it.
document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.target;
  if (part.matches?.("[data-calm]") && part.querySelector("input:checked, details[open]")) event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (event.target.matches("input[type=checkbox]")) wireChosen();
});

// Rows with arrows: up and down move between the links that name a row, x chooses it.
document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, details[open] form")) return;
  const rows = [...document.querySelectorAll(".table tbody th a")];
  const at = rows.indexOf(document.activeElement);
  if (event.key === "j" || event.key === "k") {
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)))];
    next?.focus();
  }
  if (event.key === "x" && at >= 0) {
    const box = rows[at].closest("tr").querySelector("input[type=checkbox]");
    if (box) box.click();
  }
});

// A form that is sent twice by two quick presses is sent once.
document.addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  else if (event.target.method === "post" && !event.target.action.endsWith("/export")) event.target.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

function wire(root) {
  wireDialogs(root);
  wireTables(root);
  wireSelectAll(root);
}

wire(document);
wireToasts();
document.addEventListener("htmx:afterSettle", (event) => wire(event.target));

// "/" goes to the search field, as in most tools one works in all day.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, select, [contenteditable]")) return;
  const field = document.querySelector(".top input[type=search]");
  if (field) {
    event.preventDefault();
    field.focus();
  }
});

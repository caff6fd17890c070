// What the console gains from JavaScript. Every page works without it.
import { wireDialogs, wireToasts } from "./pieces.js";

function wireSelectAll(root) {
  for (const all of root.querySelectorAll("input[data-all]:not([data-wired])")) {
    all.dataset.wired = "";
    all.addEventListener("change", () => {
      for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
    });
  }
}

function wire(root) {
  wireDialogs(root);
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

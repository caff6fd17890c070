// What the shop gains from JavaScript. Every page works without it.
import { wireDialogs, wireSuggestions, wireTables, wireToasts } from "./pieces.js";

function wireSteppers(root) {
  for (const box of root.querySelectorAll("[data-stepper]:not([data-wired])")) {
    box.dataset.wired = "";
    const input = box.querySelector("input");
    for (const button of box.querySelectorAll("[data-step]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        const before = input.value;
        if (button.dataset.step === "1") input.stepUp();
        else input.stepDown();
        if (input.value !== before) input.dispatchEvent(new Event("change", { bubbles: true }));
      });
    }
  }
}

// A form marked so sends itself when a choice changes; its button is for people without JavaScript.
function wireSelfSending(root) {
  for (const form of root.querySelectorAll("form[data-send-on-change]:not([data-wired])")) {
    form.dataset.wired = "";
    form.addEventListener("change", () => form.requestSubmit());
    for (const button of form.querySelectorAll("[data-without-script]")) button.hidden = true;
  }
}

function wire(root) {
  wireSteppers(root);
  wireSelfSending(root);
  wireDialogs(root);
  wireTables(root);
  wireSuggestions(root);
}

// A row of places that scrolls sideways shows the one where one is.
for (const here of document.querySelectorAll(":is(.account-nav, .head-nav) [aria-current]")) {
  const row = here.closest("ul");
  row.scrollLeft += here.getBoundingClientRect().left - row.getBoundingClientRect().left - (row.clientWidth - here.offsetWidth) / 2;
}

wire(document);
wireToasts();
document.addEventListener("htmx:afterSettle", (event) => wire(event.target));

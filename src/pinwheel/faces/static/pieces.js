// Pieces that both the shop and the console use.

export function wireDialogs(root) {
  for (const link of root.querySelectorAll("[data-dialog]:not([data-wired])")) {
    const dialog = document.getElementById(link.dataset.dialog);
    if (!dialog) continue;
    link.dataset.wired = "";
    link.addEventListener("click", (event) => {
      event.preventDefault();
      dialog.showModal();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
    });
  }
}

// The combobox pattern: focus stays in the field, arrows move through the options, Enter follows one.
export function wireSuggestions(root) {
  for (const form of root.querySelectorAll("form[data-suggest]:not([data-wired])")) {
    form.dataset.wired = "";
    const input = form.querySelector("[role=combobox]");
    const list = form.querySelector("[role=listbox]");
    let at = -1;
    const options = () => [...list.querySelectorAll("[role=option]")];
    const show = (open) => {
      list.hidden = !open;
      input.setAttribute("aria-expanded", String(open));
      if (!open) move(-1);
    };
    const move = (to) => {
      at = to;
      options().forEach((option, i) => {
        option.id ||= `${list.id}-${i}`;
        option.setAttribute("aria-selected", String(i === at));
      });
      const current = options()[at];
      if (current) input.setAttribute("aria-activedescendant", current.id);
      else input.removeAttribute("aria-activedescendant");
    };
    list.addEventListener("htmx:afterSettle", () => show(options().length > 0));
    input.addEventListener("keydown", (event) => {
      const n = options().length;
      if (event.key === "Escape") show(false);
      if (!n || list.hidden) return;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        const step = event.key === "ArrowDown" ? 1 : -1;
        move(at < 0 && step < 0 ? n - 1 : (at + step + n) % n);
      }
      if (event.key === "Enter" && at >= 0) {
        event.preventDefault();
        options()[at].click();
      }
    });
    form.addEventListener("focusout", (event) => {
      if (!form.contains(event.relatedTarget)) show(false);
    });
  }
}

// A table that is too wide for its place scrolls inside it, by keys too; one that fits keeps its head in
// sight, which a scrolling box would take from it.
const fitting = new ResizeObserver((changes) => {
  for (const box of new Set(changes.map((change) => change.target.closest(".table-box")))) {
    const fits = box.scrollWidth <= box.clientWidth;
    box.toggleAttribute("data-fits", fits);
    if (fits) for (const name of ["tabindex", "role", "aria-labelledby"]) box.removeAttribute(name);
    else {
      box.tabIndex = 0;
      box.setAttribute("role", "group");
      const title = box.closest("[aria-labelledby]");
      if (title && title !== box) box.setAttribute("aria-labelledby", title.getAttribute("aria-labelledby"));
    }
  }
});

export function wireTables(root) {
  for (const box of root.querySelectorAll(".table-box:not([data-wired])")) {
    box.dataset.wired = "";
    fitting.observe(box);
    for (const table of box.children) fitting.observe(table);
  }
}

// A message goes away by itself, but not while it is being read.
export function wireToasts() {
  const region = document.getElementById("toasts");
  if (!region) return;
  const leave = (toast) => {
    setTimeout(() => (toast.matches(":hover, :focus-within") ? leave(toast) : toast.remove()), 7000);
  };
  [...region.children].forEach(leave);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) leave(node);
  }).observe(region, { childList: true });
}

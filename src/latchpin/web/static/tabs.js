// Tabs: panels stand one under another until script turns them into tabs.

import { findAll } from "./dom.js";

export function prepareTabs(box) {
  if ("ready" in box.dataset) return;
  const panels = findAll(":scope > section", box);
  const list = document.createElement("div");
  list.className = "tabs";
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", box.getAttribute("aria-label") ?? "");
  box.removeAttribute("aria-label");
  const buttons = panels.map((panel, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = panel.dataset.tab;
    button.id = `tab-${index}`;
    panel.id = `panel-${index}`;
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", button.id);
    list.append(button);
    return button;
  });
  const choose = (chosen, focus) => buttons.forEach((button, index) => {
    button.setAttribute("aria-selected", String(index === chosen));
    button.tabIndex = index === chosen ? 0 : -1;
    panels[index].hidden = index !== chosen;
    if (focus && index === chosen) button.focus();
  });
  list.addEventListener("click", (event) => choose(Math.max(0, buttons.indexOf(event.target))));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) choose((buttons.indexOf(event.target) + step + buttons.length) % buttons.length, true);
  });
  box.prepend(list);
  box.dataset.ready = "";
  choose(0);
}

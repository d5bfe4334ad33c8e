// Menus: one is open at a time, and arrow keys move in it.

import { find, findAll } from "./dom.js";

export function closeMenus(except) {
  for (const menu of findAll("details[data-menu][open]")) {
    if (menu !== except) menu.open = false;
  }
}

export function placeMenu(menu) {
  if (!menu.open || !menu.classList.contains("row-menu")) return;
  menu.classList.remove("row-menu-up");
  menu.classList.toggle("row-menu-up", find(".menu", menu).getBoundingClientRect().bottom > innerHeight - 8);
}

export function moveInMenu(event) {
  const menu = event.target.closest("details[data-menu][open]");
  if (!menu) return;
  const items = findAll(".menu :is(a, button)", menu);
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && items.length) {
    event.preventDefault();
    items.at((items.indexOf(document.activeElement) + (items.includes(document.activeElement) || step > 0 ? step : 0)) % items.length).focus();
  } else if (event.key === "Escape") {
    event.stopPropagation();
    menu.open = false;
    find("summary", menu).focus();
  }
}

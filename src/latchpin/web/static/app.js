// Latchpin Control Center. Every page works without this file, except copying to the clipboard.
// It opens dialog pages in place, searches without a reload, and shows times in the viewer's zone.

import { copy } from "./copy.js";
import { openDialog, sendInDialog, takeOverLockedPage } from "./dialogs.js";
import { find, findAll, root } from "./dom.js";
import { chooseTheme, goToLine, reveal } from "./forms.js";
import { addressOf, showList, showListNow, typed } from "./lists.js";
import { closeMenus, moveInMenu, placeMenu } from "./menus.js";
import { prepare } from "./prepare.js";

root.dataset.script = "";

// One listener of each kind.

document.addEventListener("click", (event) => {
  const plain = !(event.ctrlKey || event.metaKey || event.shiftKey || event.button);
  const on = (selector) => event.target.closest(selector);
  if (!on("details[data-menu]")) closeMenus();
  if (on("[data-copy]")) copy(on("[data-copy]"));
  if (on("[data-reveal]")) reveal(on("[data-reveal]"));
  if (on("[data-toast-close]")) on("[data-toast]").remove();
  if (on("[data-select-all]")) getSelection().selectAllChildren(on("[data-select-all]"));
  if (on("[data-line]")) { event.preventDefault(); goToLine(Number(on("[data-line]").dataset.line)); }
  if (on("[data-stored]")) delete on("[data-locked]")?.dataset.locked;
  if (!plain) return;
  if (on("[data-dialog-close]") && on("dialog")) { event.preventDefault(); on("dialog").close(); }
  if (on("a[data-dialog-link]")) { event.preventDefault(); openDialog(on("a[data-dialog-link]")); }
  if (on("a[data-live-link]") && find("[data-live-region]")) {
    event.preventDefault();
    showList(on("a[data-live-link]").href, { push: true });
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-theme-form]")) {
    event.preventDefault();
    chooseTheme(form, event.submitter.value);
  } else if (form.matches("[data-live]")) {
    event.preventDefault();
    showListNow(form);
  } else if (form.closest("dialog")) {
    event.preventDefault();
    sendInDialog(form, event.submitter);
  } else if ("sent" in form.dataset) {
    event.preventDefault();
  } else {
    form.dataset.sent = "";
    event.submitter?.setAttribute("aria-busy", "true");
  }
});

document.addEventListener("input", typed);
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-live]");
  if (form && event.target.matches("[data-auto-submit]")) showList(addressOf(form), { push: true });
});
document.addEventListener("keydown", (event) => {
  moveInMenu(event);
  const free = !event.target.closest("input, textarea, select, dialog") && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "/" && free && find("#q")) { event.preventDefault(); find("#q").focus(); }
});
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details[data-menu]")) return;
  if (event.target.open) closeMenus(event.target);
  placeMenu(event.target);
}, true);
addEventListener("popstate", () => { if (find("[data-live-region]")) showList(location.href); });
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const busy of findAll("[aria-busy]")) busy.removeAttribute("aria-busy");
  for (const form of findAll("form[data-sent]")) delete form.dataset.sent;
});

prepare(document);
takeOverLockedPage();
find("[data-focus]")?.focus();

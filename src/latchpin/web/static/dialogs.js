// Dialogs: pages that declare <main data-dialog> are opened over the page they were asked from.

import { find, findAll, parse } from "./dom.js";
import { closeMenus } from "./menus.js";
import { prepare } from "./prepare.js";
import { say } from "./toasts.js";

const IN_PLACE = { "Latchpin-Dialog": "1" };
let opener = null;

function lock(dialog) {
  dialog.dataset.locked = "";
  dialog.closedBy = "none";
}

function makeDialog() {
  const dialog = document.createElement("dialog");
  dialog.className = "dialog";
  document.body.append(dialog);
  let changed = false;
  dialog.addEventListener("input", () => { changed = true; });
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog && !changed && !("locked" in dialog.dataset)) dialog.close();
  });
  watch(dialog);
  return dialog;
}

function watch(dialog) {
  const locked = () => "locked" in dialog.dataset;
  dialog.addEventListener("cancel", (event) => { if (locked()) event.preventDefault(); });
  dialog.addEventListener("keydown", (event) => { if (event.key === "Escape" && locked()) event.preventDefault(); });
  dialog.addEventListener("close", () => {
    if (locked()) { dialog.showModal(); return; }
    dialog.remove();
    opener?.focus();
  });
}

function fill(dialog, page) {
  const whole = find("dialog[data-locked]", page);
  const main = find("main[data-dialog]", page);
  const content = whole ?? main;
  if (!content) return false;
  const body = whole ? find(".dialog-body", whole) : document.createElement("div");
  if (!whole) {
    body.className = "dialog-body";
    body.append(...(main.children.length === 1 ? main.children[0].children : main.children));
    body.classList.toggle("stack-large", false);
  }
  dialog.replaceChildren(document.adoptNode(body));
  dialog.classList.toggle("dialog-wide", Boolean(whole));
  if (whole) dialog.id = whole.id;
  const title = find("h1, .dialog-title", body);
  title.id ||= "dialog-title";
  dialog.setAttribute("aria-labelledby", title.id);
  if ("locked" in content.dataset) lock(dialog); else addClose(dialog);
  prepare(dialog);
  refreshFacts(dialog);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  (find("[autofocus], [data-focus]", dialog) ?? find("input:not([type=hidden], [tabindex]), .button-primary, .button-danger", dialog) ?? dialog).focus();
  return true;
}

// What a dialog says of a thing is newer than what the page beneath it says.
function refreshFacts(dialog) {
  for (const fact of findAll("[data-fact]", dialog)) {
    for (const older of findAll(`[data-fact="${fact.dataset.fact}"]`)) {
      if (dialog.contains(older)) continue;
      older.replaceChildren(...fact.cloneNode(true).childNodes);
      if (older.hasAttribute("title")) older.title = older.textContent;
    }
  }
}

function addClose(dialog) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-quiet button-icon dialog-close";
  button.setAttribute("aria-label", "Close");
  button.setAttribute("data-dialog-close", "");
  button.innerHTML = '<svg class="icon" viewBox="0 0 20 20" aria-hidden="true"><path d="m5 5 10 10M15 5 5 15"/></svg>';
  find(".dialog-body", dialog).append(button);
}

export async function openDialog(link) {
  const menu = link.closest("details[data-menu]");
  opener = menu ? find("summary", menu) : link;
  closeMenus();
  const current = link.closest("dialog");
  try {
    const answer = await fetch(link.href, { headers: IN_PLACE });
    const dialog = current ?? makeDialog();
    if (fill(dialog, parse(await answer.text()))) return;
    if (dialog !== current) dialog.remove();
  } catch { /* no connection: the browser's own page says so */ }
  location.assign(link.href);
}

function showAnew(address) {
  location.assign(address);
  // A fragment of this very page only scrolls, and what has just changed would not show.
  if (address.includes("#")) location.reload();
}

export async function sendInDialog(form, submitter) {
  const dialog = form.closest("dialog");
  if ("sent" in form.dataset) return; // a second Enter must not outrun the answer to the first
  form.dataset.sent = "";
  submitter?.setAttribute("aria-busy", "true");
  try {
    const body = new URLSearchParams(new FormData(form, submitter));
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: IN_PLACE });
    const next = answer.headers.get("Latchpin-Location");
    if (next) { showAnew(next); return; }
    if (!fill(dialog, parse(await answer.text()))) location.reload();
  } catch {
    delete form.dataset.sent;
    submitter?.removeAttribute("aria-busy");
    say("No answer from the server. Nothing may have changed: check before trying again.");
  }
}

// A locked dialog that came with the page itself: make it modal, and let a reload show the list.
export function takeOverLockedPage() {
  const locked = find("[data-locked]");
  if (!locked) return;
  history.replaceState(null, "", locked.dataset.address);
  if (!(locked instanceof HTMLDialogElement)) return;
  locked.removeAttribute("open");
  watch(locked);
  lock(locked);
  locked.showModal();
}

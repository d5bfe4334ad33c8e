// Toasts: short messages that leave by themselves.

import { find } from "./dom.js";

const TOAST_MILLISECONDS = 9000;

export function dismissLater(toast) {
  let timer = setTimeout(() => toast.remove(), TOAST_MILLISECONDS);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => { timer = setTimeout(() => toast.remove(), TOAST_MILLISECONDS / 2); });
}

export function say(text) {
  const toast = document.createElement("div");
  toast.className = "toast toast-danger";
  toast.append(document.createElement("span"), Object.assign(document.createElement("p"), { textContent: text }));
  const dialog = find("dialog:modal");
  (dialog ?? find(".toasts")).append(toast);
  dismissLater(toast);
}

// Copying to the clipboard.

import { find } from "./dom.js";

function select(source) {
  source.focus();
  if ("select" in source) source.select(); else getSelection().selectAllChildren(source);
}

export async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const label = find("[data-copy-label]", button);
  const before = label.dataset.before ?? label.textContent;
  label.dataset.before = before;
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent.replace(/\n$/, ""));
    label.textContent = "Copied";
  } catch { // browsers give out the clipboard over TLS and on loopback only
    select(source);
    label.textContent = /Mac|iP(hone|ad|od)/.test(navigator.platform) ? "Press Cmd+C" : "Press Ctrl+C";
  }
  setTimeout(() => { label.textContent = before; }, 2500);
}

// Forms: the theme, passwords that can be seen, dates, the editor, and changes that are not lost by accident.

import { find, findAll, root } from "./dom.js";

export function chooseTheme(form, theme) {
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
  root.dataset.theme = theme;
  for (const button of findAll("button", form)) button.setAttribute("aria-pressed", String(button.value === theme));
}

export function reveal(button) {
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.firstElementChild.textContent = shown ? "Hide" : "Show";
  button.setAttribute("aria-pressed", String(shown));
}

export function quickDates(box) {
  const input = document.getElementById(box.dataset.quickDates);
  const radios = findAll("input[type=radio]", box);
  box.addEventListener("change", (event) => {
    if (event.target.dataset.date) input.value = event.target.dataset.date;
    if (event.target !== input) return;
    const same = radios.find((radio) => radio.dataset.date === input.value) ?? radios.find((radio) => !radio.dataset.date);
    if (same) same.checked = true;
  });
}

const LINE_HEIGHT = 20;

export function prepareEditor(box) {
  const area = find("textarea", box);
  const gutter = find(".editor-gutter", box);
  const number = () => {
    const count = area.value.split("\n").length;
    gutter.textContent = Array.from({ length: count }, (_, index) => index + 1).join("\n");
    gutter.style.setProperty("height", `${area.offsetHeight}px`);
  };
  area.addEventListener("input", number);
  area.addEventListener("scroll", () => { gutter.scrollTop = area.scrollTop; });
  new ResizeObserver(number).observe(area);
  number();
}

export function goToLine(number) {
  const area = find("[data-editor] textarea");
  const lines = area.value.split("\n");
  const start = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[number - 1] ?? "").length);
  area.scrollTop = Math.max(0, (number - 6) * LINE_HEIGHT);
}

export function guard(form) {
  let changed = form.dataset.guard === "changed";
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}

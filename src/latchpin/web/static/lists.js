// Lists: search as typing stops, filters, sorting and pages without a reload.

import { find, findAll, parse } from "./dom.js";
import { prepare } from "./prepare.js";

let pending = null;

export async function showList(address, { push = false } = {}) {
  pending?.abort();
  pending = new AbortController();
  try {
    const answer = await fetch(address, { signal: pending.signal });
    const page = parse(await answer.text());
    const fresh = find("[data-live-region]", page);
    if (!fresh) { location.assign(address); return; }
    const region = find("[data-live-region]");
    const again = document.activeElement?.closest("[data-live-region] a")?.textContent;
    region.replaceChildren(...fresh.childNodes);
    for (const control of findAll("form[data-live] :is(select, input[type=date], input[type=search])")) {
      const twin = find(`form[data-live] [name="${control.name}"]`, page);
      if (twin && control !== document.activeElement) control.value = twin.value;
    }
    for (const name of ["sort", "order", "target", "through"]) {
      find(`form[data-live] input[type=hidden][name=${name}]`)?.remove();
      const twin = find(`form[data-live] input[type=hidden][name=${name}]`, page);
      if (twin) find("form[data-live]").append(document.adoptNode(twin));
    }
    history[push ? "pushState" : "replaceState"](null, "", address);
    prepare(region);
    if (again) findAll("a", region).find((link) => link.textContent === again)?.focus();
  } catch (problem) {
    if (problem.name !== "AbortError") location.assign(address);
  }
}

// A day begins and ends where the viewer is, as the times in the list do. Its offset goes into the address, which others may open.
function withOffset(day, isLast) {
  const midnight = new Date(`${day}T00:00`);
  if (isLast) midnight.setDate(midnight.getDate() + 1);
  const minutes = -midnight.getTimezoneOffset();
  const two = (number) => String(Math.floor(number)).padStart(2, "0");
  return `${day}${minutes < 0 ? "-" : "+"}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

export function addressOf(form) {
  const entries = [...new FormData(form)].filter(([, value]) => value !== "").map(([name, value]) => {
    const limit = form.elements[name]?.dataset?.day;
    return [name, limit ? withOffset(value, limit === "last") : value];
  });
  const query = new URLSearchParams(entries).toString();
  return form.getAttribute("action") + (query ? `?${query}` : "");
}

let typing = null;

// The answer to a form that was sent comes at once, and not again when typing stops.
export function showListNow(form) {
  clearTimeout(typing);
  showList(addressOf(form));
}

export function typed(event) {
  const form = event.target.closest("form[data-live]");
  if (form && event.target.type === "search") {
    clearTimeout(typing);
    typing = setTimeout(() => showList(addressOf(form)), 220);
  }
}

// Latchpin Control Center. Every page works without this file, except copying to the clipboard.
// It opens dialog pages in place, searches without a reload, and shows times in the viewer's zone.

const root = document.documentElement;
root.dataset.script = "";

const find = (selector, within = document) => within.querySelector(selector);
const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];
const parse = (text) => new DOMParser().parseFromString(text, "text/html");
const IN_PLACE = { "Latchpin-Dialog": "1" };

// Times ---------------------------------------------------------------------------------------

const DATE = { day: "numeric", month: "short", year: "numeric" };
const STYLES = {
  date: DATE,
  moment: { ...DATE, hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  exact: { ...DATE, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" },
};

function showLocalTimes(within) {
  for (const element of findAll("time[data-time]", within)) {
    const style = STYLES[element.dataset.time];
    const local = (chosen) => new Intl.DateTimeFormat("en-GB", chosen).format(new Date(element.dateTime));
    if (style) element.textContent = local(style);
    // Somebody chose this day, and chose it in UTC: in another zone it would read as its neighbour.
    if (element.dataset.time === "last-day") element.title += ` (${local(STYLES.moment)} where you are)`;
  }
}

// Toasts --------------------------------------------------------------------------------------

const TOAST_MILLISECONDS = 9000;

function dismissLater(toast) {
  let timer = setTimeout(() => toast.remove(), TOAST_MILLISECONDS);
  toast.addEventListener("pointerenter", () => clearTimeout(timer));
  toast.addEventListener("pointerleave", () => { timer = setTimeout(() => toast.remove(), TOAST_MILLISECONDS / 2); });
}

function say(text) {
  const toast = document.createElement("div");
  toast.className = "toast toast-danger";
  toast.append(document.createElement("span"), Object.assign(document.createElement("p"), { textContent: text }));
  const dialog = find("dialog:modal");
  (dialog ?? find(".toasts")).append(toast);
  dismissLater(toast);
}

// Copy ----------------------------------------------------------------------------------------

function select(source) {
  source.focus();
  if ("select" in source) source.select(); else getSelection().selectAllChildren(source);
}

async function copy(button) {
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

// Tabs: panels stand one under another until script turns them into tabs ---------------------------

function prepareTabs(box) {
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

// Menus ---------------------------------------------------------------------------------------

function closeMenus(except) {
  for (const menu of findAll("details[data-menu][open]")) {
    if (menu !== except) menu.open = false;
  }
}

function placeMenu(menu) {
  if (!menu.open || !menu.classList.contains("row-menu")) return;
  menu.classList.remove("row-menu-up");
  menu.classList.toggle("row-menu-up", find(".menu", menu).getBoundingClientRect().bottom > innerHeight - 8);
}

function moveInMenu(event) {
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

// Dialogs: pages that declare <main data-dialog> are opened over the page they were asked from --------

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
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  (find("[autofocus], [data-focus]", dialog) ?? find("input:not([type=hidden], [tabindex]), .button-primary, .button-danger", dialog) ?? dialog).focus();
  return true;
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

async function openDialog(link) {
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

async function sendInDialog(form, submitter) {
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
function takeOverLockedPage() {
  const locked = find("[data-locked]");
  if (!locked) return;
  history.replaceState(null, "", locked.dataset.address);
  if (!(locked instanceof HTMLDialogElement)) return;
  locked.removeAttribute("open");
  watch(locked);
  lock(locked);
  locked.showModal();
}

// Lists: search as typing stops, filters, sorting and pages without a reload ----------------------------

let pending = null;

async function showList(address, { push = false } = {}) {
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

function addressOf(form) {
  const entries = [...new FormData(form)].filter(([, value]) => value !== "").map(([name, value]) => {
    const limit = form.elements[name]?.dataset?.day;
    return [name, limit ? withOffset(value, limit === "last") : value];
  });
  const query = new URLSearchParams(entries).toString();
  return form.getAttribute("action") + (query ? `?${query}` : "");
}

let typing = null;

function typed(event) {
  const form = event.target.closest("form[data-live]");
  if (form && event.target.type === "search") {
    clearTimeout(typing);
    typing = setTimeout(() => showList(addressOf(form)), 220);
  }
}

// Forms ---------------------------------------------------------------------------------------

function chooseTheme(form, theme) {
  document.cookie = `theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
  root.dataset.theme = theme;
  for (const button of findAll("button", form)) button.setAttribute("aria-pressed", String(button.value === theme));
}

function reveal(button) {
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.firstElementChild.textContent = shown ? "Hide" : "Show";
  button.setAttribute("aria-pressed", String(shown));
}

function quickDates(box) {
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

function prepareEditor(box) {
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

function goToLine(number) {
  const area = find("[data-editor] textarea");
  const lines = area.value.split("\n");
  const start = lines.slice(0, number - 1).join("\n").length + (number > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[number - 1] ?? "").length);
  area.scrollTop = Math.max(0, (number - 6) * LINE_HEIGHT);
}

function guard(form) {
  let changed = form.dataset.guard === "changed";
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
}

// One listener of each kind --------------------------------------------------------------------

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
    clearTimeout(typing);
    showList(addressOf(form));
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

function prepare(within) {
  showLocalTimes(within);
  findAll("[data-tabs]", within).forEach(prepareTabs);
  findAll("[data-quick-dates]", within).forEach(quickDates);
  findAll("[data-editor]", within).forEach(prepareEditor);
  findAll("form[data-guard]", within).forEach(guard);
  findAll("[data-toast]", within).forEach(dismissLater);
}

prepare(document);
takeOverLockedPage();
find("[data-focus]")?.focus();

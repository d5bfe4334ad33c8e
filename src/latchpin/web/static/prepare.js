// What a part of a page needs once it is there: the page itself, a dialog, a list that was drawn again.

import { findAll } from "./dom.js";
import { guard, prepareEditor, quickDates } from "./forms.js";
import { prepareTabs } from "./tabs.js";
import { showLocalTimes } from "./times.js";
import { dismissLater } from "./toasts.js";

export function prepare(within) {
  showLocalTimes(within);
  findAll("[data-tabs]", within).forEach(prepareTabs);
  findAll("[data-quick-dates]", within).forEach(quickDates);
  findAll("[data-editor]", within).forEach(prepareEditor);
  findAll("form[data-guard]", within).forEach(guard);
  findAll("[data-toast]", within).forEach(dismissLater);
}

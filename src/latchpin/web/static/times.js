// Times in the viewer's own zone.

import { findAll } from "./dom.js";

const DATE = { day: "numeric", month: "short", year: "numeric" };
const STYLES = {
  date: DATE,
  moment: { ...DATE, hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  exact: { ...DATE, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" },
};

export function showLocalTimes(within) {
  for (const element of findAll("time[data-time]", within)) {
    const style = STYLES[element.dataset.time];
    const local = (chosen) => new Intl.DateTimeFormat("en-GB", chosen).format(new Date(element.dateTime));
    if (style) element.textContent = local(style);
    // Somebody chose this day, and chose it in UTC: in another zone it would read as its neighbour.
    if (element.dataset.time === "last-day") element.title += ` (${local(STYLES.moment)} where you are)`;
  }
}

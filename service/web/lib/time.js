// Moments as people say them, "3 minutes ago", with the exact time as title.
import { h } from "./dom.js";
import { formatTime } from "./numbers.js";

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
]; // in seconds
const OLD_S = 7 * 86_400; // from here on the date says more
const REFRESH_S = 30;
const words = new Intl.RelativeTimeFormat("en", { numeric: "always" });

export const timeAgo = (iso) =>
  h("time", { class: "ago", datetime: iso, title: formatTime(iso) }, ago(iso));

// Clocks of a browser may be behind that of the server.
export function ago(iso, now = Date.now()) {
  const seconds = (now - new Date(iso)) / 1000;
  if (seconds >= OLD_S) return formatTime(iso);
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? [];
  return unit ? words.format(-Math.floor(seconds / length), unit) : "just now";
}

setInterval(() => {
  for (const each of document.querySelectorAll("time.ago")) each.textContent = ago(each.dateTime);
}, 1000 * REFRESH_S);

"use strict";
const at = (id) => document.getElementById(id);
// Control and invisible characters are shown escaped, as the rest of the page does; line ends and tabs stay.
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]/gu;
const escaped = (mark) => {
  const code = mark.codePointAt(0);
  return mark === "\r" ? "\\r" : code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
};
const visible = (text) => text.replaceAll("\r\n", "\n").replace(UNSAFE, escaped);
const make = (tag, options = {}, ...inner) => {
  const made = Object.assign(document.createElement(tag), options);
  made.append(...inner.map((each) => (typeof each === "string" ? visible(each) : each)));
  return made;
};
const whole = (n) => n.toLocaleString("en");
// As everywhere in ftcls: .8125 without the zero, never -0, and half way between two figures the even one.
const formats = new Map();
const figure = (value, digits = 4) => {
  if (value === null || Number.isNaN(value)) return "-";
  if (!formats.has(digits)) {
    formats.set(digits, new Intl.NumberFormat("en", {
      minimumFractionDigits: digits, maximumFractionDigits: digits, roundingMode: "halfEven", useGrouping: false,
    }));
  }
  const text = formats.get(digits).format(value);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace(/^(-?)0\./, "$1.");
};

// Tables with class "sortable" sort by a click on a column's head; without JavaScript they stay as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const before = head.getAttribute("aria-sort");
      const direction = before === (numeric ? "descending" : "ascending") ? (numeric ? "ascending" : "descending")
        : numeric ? "descending" : "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim().replace(/^< /, "");
      const order = (a, b) => numeric
        ? sign * (parseFloat(key(a)) - parseFloat(key(b)))
        : sign * key(a).localeCompare(key(b));
      const known = (row) => !numeric || !Number.isNaN(parseFloat(key(row)));
      const rows = [...body.rows];
      body.append(...rows.filter(known).sort(order), ...rows.filter((row) => !known(row)));
    });
  });
}
// A command is selected whole by a click, and goes to the clipboard by a button where the browser lets a page do that.
for (const box of navigator.clipboard ? document.querySelectorAll(".command") : []) {
  const button = make("button", { type: "button" }, "copy");
  button.addEventListener("click", () => navigator.clipboard.writeText(box.querySelector("code").textContent).then(
    () => { button.textContent = "copied"; }, () => { button.remove(); }));
  box.prepend(button);
}
// Paper has nothing to click on: print what is folded, too.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));

// --- values of a figure, for who points at them

const tip = document.body.appendChild(make("div", { id: "tip", hidden: true }));
tip.setAttribute("aria-hidden", "true");
function showTip(words, x, y) {
  tip.textContent = visible(words);
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - box.width - 8))}px`;
  tip.style.top = `${y + 16 + box.height > innerHeight ? y - box.height - 8 : y + 16}px`;
}
const hideTip = () => { tip.hidden = true; };

function hover(box, points) {
  const svg = box.querySelector("svg");
  const mark = svg.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "circle"));
  mark.setAttribute("class", "pointed");
  mark.setAttribute("r", 0);
  box.addEventListener("pointermove", (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let [near, least] = [null, 30 ** 2];
    for (const point of points) {
      const away = (point[0] - place.x) ** 2 + (point[1] - place.y) ** 2;
      if (away < least) [near, least] = [point, away];
    }
    mark.setAttribute("r", near ? 3.5 : 0);
    if (!near) return hideTip();
    mark.setAttribute("cx", near[0]);
    mark.setAttribute("cy", near[1]);
    return showTip(near[2], event.clientX, event.clientY);
  });
  box.addEventListener("pointerleave", () => { mark.setAttribute("r", 0); hideTip(); });
}
for (const box of document.querySelectorAll("[data-points]")) hover(box, JSON.parse(box.dataset.points));

// --- the part of the menu that one reads

const links = new Map([...document.querySelectorAll("nav a[href^='#']")].map((link) => [link.hash.slice(1), link]));
if (links.size && "IntersectionObserver" in window) {
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target.id);
    const first = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === first) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-20% 0px -60% 0px" });
  for (const id of links.keys()) if (at(id)) watch.observe(at(id));
}

// --- what the page can be asked for

async function unpacked(id) {
  const bytes = Uint8Array.from(atob(at(id).textContent), (mark) => mark.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Cells that begin like a formula get a quote, or a spreadsheet would compute them.
const cell = (value) => {
  const text = value === null ? "" : typeof value === "string" && /^[=+@\t\r-]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
function save(name, lines) {
  const text = lines.map((line) => line.map(cell).join(",")).join("\r\n");
  const link = make("a", { href: URL.createObjectURL(new Blob([`\ufeff${text}\r\n`], { type: "text/csv" })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

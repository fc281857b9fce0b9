// Tables with class "sortable" sort by a click on a column's head; without JavaScript they stay as they are.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const before = head.getAttribute("aria-sort");
      const direction = before === (numeric ? "descending" : "ascending") ? (numeric ? "ascending" : "descending")
        : numeric ? "descending" : "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
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
  const line = box.textContent;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "copy";
  button.addEventListener("click", () => navigator.clipboard.writeText(line).then(
    () => { button.textContent = "copied"; }, () => { button.remove(); }));
  box.prepend(button);
}
// Paper has nothing to click on: print what is folded, too.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => { each.open = true; }));

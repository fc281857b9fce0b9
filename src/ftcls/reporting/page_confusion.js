// --- confusions: a table whose numbers show their texts; of many labels a map, and a part of it as the table

const TABLE = 30; // most labels in one table

let part = []; // numbers of the labels in the table, NONE for no label

const count = (i, j) => {
  if (i === NONE) return j === NONE ? 0 : D.matrix.nothingMissed[j];
  return j === NONE ? D.matrix.nothingInstead[i] : D.matrix.counts[i][j];
};
const totalOf = (i) => (i === NONE ? D.matrix.nothingMissed.reduce((a, b) => a + b, 0)
  : D.matrix.counts[i].reduce((a, b) => a + b, 0) + (several ? D.matrix.nothingInstead[i] : 0));
const described = (i, j) => {
  if (i === j) return `${name(i)}: found`;
  if (!several) return `gold ${name(i)}, given ${name(j)}`;
  return `${i === NONE ? "nothing" : name(i)} missed, ${j === NONE ? "nothing" : name(j)} wrongly given`;
};

function drawTable() {
  const labels = several ? [NONE, ...part] : part; // no label first: it is asked for most
  const turned = labels.length > 6;
  const short = (label) => { const text = name(label); return text.length > 22 ? `${text.slice(0, 21)}…` : text; };
  const head = make("tr", {}, make("th", { scope: "col" }, several ? "missed" : "gold"), ...labels.map((label) =>
    make("th", { scope: "col", className: turned ? "turned" : "n", title: name(label) }, make("span", {}, short(label)))));
  const line = (i) => {
    const total = totalOf(i) || 1;
    return make("tr", {}, make("th", { scope: "row", title: name(i) }, short(i)), ...labels.map((j) => {
      const n = count(i, j);
      const box = make("td", { className: `s${Math.round((20 * n) / total)}` });
      if (!n) { box.append(make("span", { className: "zero" }, i === NONE && j === NONE ? "" : "·")); return box; }
      const button = make("button", { type: "button", title: described(i, j) }, whole(n));
      button.setAttribute("aria-label", `${described(i, j)}: ${whole(n)} rows`);
      button.addEventListener("click", () => showRows(i === j ? (several ? "all" : "right") : "wrong", i, j));
      box.append(button);
      return box;
    }));
  };
  at("matrix-table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...labels.map(line)));
  if (!at("matrix-map").hidden) drawMap();
}

// Labels side by side in the order that has those together that are taken for each other.
function around(middle, size) {
  const order = D.matrix.order;
  const from = Math.max(0, Math.min(order.length - size, middle - Math.floor(size / 2)));
  part = order.slice(from, from + size);
  at("m-label").value = order[Math.max(0, Math.min(order.length - 1, middle))];
  drawTable();
}

function drawMap() {
  const canvas = at("map");
  const pen = canvas.getContext("2d");
  const look = getComputedStyle(document.documentElement);
  const order = D.matrix.order;
  const side = canvas.width / order.length;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = look.getPropertyValue("--series-1");
  order.forEach((i, y) => {
    const total = totalOf(i) || 1;
    order.forEach((j, x) => {
      const n = D.matrix.counts[i][j];
      if (!n) return;
      pen.globalAlpha = Math.max(0.12, Math.sqrt(n / total)); // a root, so that the seldom shows beside the frequent
      pen.fillRect(x * side, y * side, Math.max(1, side - 0.5), Math.max(1, side - 0.5));
    });
  });
  pen.globalAlpha = 1;
  pen.strokeStyle = look.getPropertyValue("--series-2");
  pen.lineWidth = 3;
  const from = order.indexOf(part[0]);
  pen.strokeRect(from * side, from * side, part.length * side, part.length * side);
}

function startMap() {
  const canvas = at("map");
  const order = D.matrix.order;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const index = (at_, size) => Math.max(0, Math.min(order.length - 1, Math.floor((at_ / size) * order.length)));
    return [index(event.clientX - box.left, box.width), index(event.clientY - box.top, box.height)];
  };
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    showTip(`${described(order[y], order[x])}: ${whole(D.matrix.counts[order[y]][order[x]])}`, event.clientX, event.clientY);
  });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("click", (event) => {
    const [x, y] = place(event);
    around(Math.round((x + y) / 2), Number(at("m-size").value));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);
}

function startConfusion() {
  const order = D.matrix.order;
  if (D.labels.length <= TABLE) part = D.labels.length > 12 ? order : D.labels.map((_, index) => index);
  else {
    at("matrix-tools").hidden = false;
    at("matrix-map").hidden = false;
    at("m-label").replaceChildren(...[...D.labels.keys()].sort((a, b) => D.labels[a].localeCompare(D.labels[b], undefined, { numeric: true }))
      .map((label) => make("option", { value: label }, D.labels[label])));
    const move = () => around(order.indexOf(Number(at("m-label").value)), Number(at("m-size").value));
    at("m-label").addEventListener("change", move);
    at("m-size").addEventListener("change", move);
    startMap();
    // At first where most is confused.
    const size = Number(at("m-size").value);
    let [best, most] = [0, -1];
    for (let from = 0; from + size <= order.length; from++) {
      let sum = 0;
      for (let a = from; a < from + size; a++) for (let b = from; b < from + size; b++) if (a !== b) sum += D.matrix.counts[order[a]][order[b]];
      if (sum > most) [best, most] = [from, sum];
    }
    around(best + Math.floor(size / 2), size);
  }
  at("matrix").hidden = false;
  at("matrix-static").hidden = true;
  drawTable();
  for (const row of at("pairs")?.tBodies[0].rows ?? []) {
    const [gold, given] = [0, 1].map((column) => D.labels.indexOf(row.cells[column].textContent));
    const button = make("button", { type: "button", className: "link" }, row.cells[2].textContent);
    button.setAttribute("aria-label", `${row.cells[2].textContent} rows: ${described(gold, given)}`);
    button.addEventListener("click", () => showRows("wrong", gold, given));
    row.cells[2].replaceChildren(button);
  }
}

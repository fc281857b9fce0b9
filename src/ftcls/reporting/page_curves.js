// --- thresholds: what each would give, counted over all rows of a split; curves of one label

const ALL = "all"; // every label at one threshold

const share = (a, b) => (b ? a / b : null);
const places = () => (at("c-label").value === ALL ? D.curves.labels.map((_, index) => index) : [Number(at("c-label").value)]);
const sum = (values) => values.reduce((a, b) => a + b, 0);
const GRID_END = () => D.curves.grid.length;

// The figures of a split at a place on the grid; the place behind it is the threshold in force. Rows are counted, and
// where they have weights ratios are of these.
function scores(split, place) {
  const found = D.curves.splits[split];
  const at_ = places();
  const sums = (of) => [sum(at_.map((i) => of.gold[i])), sum(at_.map((i) => of.given[i][place])), sum(at_.map((i) => of.hits[i][place]))];
  const [gold, given, hits] = sums(found);
  const [has, said, right] = sums(found.weighed ?? found);
  return {
    precision: share(right, said), recall: share(right, has), f1: share(2 * right, has + said),
    given, rightly: hits, wrongly: given - hits, missed: gold - hits, gold,
  };
}

let stop = null; // place on the grid

function threshold() {
  if (stop < GRID_END()) return D.curves.grid[stop];
  const values = places().map((index) => D.curves.current[index]);
  return values.every((value) => value === values[0]) ? values[0] : null;
}

function drawScores() {
  if (!at("c-slider")) return;
  const value = threshold();
  const said = value === null ? "each label its own" : String(Number(value.toFixed(4)));
  at("c-value").textContent = said;
  at("c-slider").setAttribute("aria-valuetext", said);
  at("c-table").tBodies[0].replaceChildren(...["validation", "out_of_fold", "test"].filter((split) => split in D.curves.splits).map((split) => {
    const found = scores(split, stop);
    const values = [figure(found.precision), figure(found.recall), figure(found.f1), whole(found.given), whole(found.rightly), whole(found.wrongly), whole(found.missed)];
    return make("tr", {}, make("th", { scope: "row" }, split), ...values.map((text) => make("td", { className: "n" }, text)));
  }));
  const label = D.labels[D.curves.labels[places()[0]]];
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : /["$`\\!%]/.test(text) ? `'${text.replaceAll("'", "'\"'\"'")}'` : `"${text}"`);
  const wanted = value === null ? "" : ` --threshold ${D.task === "binary" || at("c-label").value === ALL ? said : quoted(`${label}=${said}`)}`;
  at("c-predict").textContent = `ftcls predict ${quoted(D.place)}${wanted} --text "..."`;
  const chosenOn = scores("validation" in D.curves.splits ? "validation" : D.split, stop);
  const least = chosenOn.precision === null ? null : Math.floor(chosenOn.precision * 1000) / 1000;
  at("c-config-box").hidden = !least;
  at("c-config").textContent = `decision: {thresholds: tuned, objective: precision, min_precision: ${least}}`;
}

// --- charts of one label

const SVG = "http://www.w3.org/2000/svg";
const svg = (tag, attributes = {}, text = "") => {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
};

// A square of 0 to 1 by 0 to 1, with points that say their values.
function chart(box, { x, y, line, points, diagonal }) {
  const [width, height, left, bottom] = [380, 280, 46, 40];
  const X = (value) => left + value * (width - left - 12);
  const Y = (value) => 8 + (1 - value) * (height - bottom - 8);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" });
  for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
    drawing.append(svg("path", { class: "grid", d: `M${X(tick)} ${Y(0)}V${Y(1)}M${X(0)} ${Y(tick)}H${X(1)}` }));
    drawing.append(svg("text", { x: X(tick), y: height - bottom + 15, "text-anchor": "middle" }, tick));
    drawing.append(svg("text", { x: left - 6, y: Y(tick) + 4, "text-anchor": "end" }, tick));
  }
  drawing.append(svg("text", { x: X(0.5), y: height - 6, "text-anchor": "middle" }, x));
  drawing.append(svg("text", { transform: `translate(12 ${Y(0.5)}) rotate(-90)`, "text-anchor": "middle" }, y));
  if (diagonal) drawing.append(svg("path", { class: "diagonal", d: `M${X(0)} ${Y(0)}L${X(1)} ${Y(1)}` }));
  const path = line.map(([a, b], index) => `${index ? "L" : "M"}${X(a).toFixed(1)} ${Y(b).toFixed(1)}`).join("");
  if (path) drawing.append(svg("path", { class: "curve", d: path }));
  for (const [a, b, size, chosenOne] of points) drawing.append(svg("circle", { class: chosenOne ? "chosen" : "point", cx: X(a), cy: Y(b), r: size }));
  box.replaceChildren(drawing);
  hover(box, points.concat(line.map(([a, b, words]) => [a, b, 0, false, words])).filter((p) => p[4]).map(([a, b, , , words]) => [X(a), Y(b), words]));
}

// The bins of all labels together.
function pooledBins() {
  const width = 15;
  const pooled = new Map();
  for (const [mean, observed, rows, weight] of D.reliability.flat()) {
    const at_ = Math.min(width - 1, Math.floor(mean * width));
    const [p, hits, n, all] = pooled.get(at_) ?? [0, 0, 0, 0];
    pooled.set(at_, [p + mean * weight, hits + observed * weight, n + rows, all + weight]);
  }
  return [...pooled].sort((a, b) => a[0] - b[0]).map(([, [p, hits, n, all]]) => [p / all, hits / all, n]);
}

function drawCurves() {
  const found = D.curves.grid.map((value, place) => ({ value, ...scores(D.split, place) })).filter((each) => each.precision !== null && each.recall !== null);
  const now = scores(D.split, stop);
  const words = (value, each) => `threshold ${value}: precision ${figure(each.precision)}, recall ${figure(each.recall)}, ${whole(each.given)} given`;
  chart(at("c-curve"), {
    x: "recall", y: "precision",
    line: found.map((each) => [each.recall, each.precision, words(each.value, each)]),
    points: now.precision === null || now.recall === null || ["multiclass", "ordinal"].includes(D.task) ? [] : [[now.recall, now.precision, 5, true, words(at("c-value")?.textContent, now)]],
  });
  const bins = at("c-label").value === ALL ? pooledBins() : D.reliability[Number(at("c-label").value)];
  const most = Math.max(...bins.map((bin) => bin[2]));
  const text = (bin) => `probability ${figure(bin[0], 3)}: ${figure(bin[1], 3)} of ${whole(bin[2])} rows have it`;
  chart(at("c-bins"), {
    x: "probability", y: "share that has the label", diagonal: true,
    line: bins.map((bin) => [bin[0], bin[1]]),
    points: bins.map((bin) => [bin[0], bin[1], 2 + 5 * Math.sqrt(bin[2] / most), false, text(bin)]),
  });
}

function startCurves() {
  const names = D.curves.labels.map((label, index) => make("option", { value: index }, D.labels[label]));
  if (several) names.unshift(make("option", { value: ALL }, "all, at one threshold"));
  at("c-label").replaceChildren(...names);
  at("c-label").value = several ? ALL : "0";
  stop = GRID_END();
  const slider = at("c-slider");
  const reset = () => {
    stop = GRID_END();
    const value = threshold() ?? 0.5;
    const nearest = D.curves.grid.reduce((best, each, index) => (Math.abs(each - value) < Math.abs(D.curves.grid[best] - value) ? index : best), 0);
    if (slider) slider.value = nearest;
    drawScores();
    drawCurves();
  };
  if (slider) {
    slider.max = GRID_END() - 1;
    slider.addEventListener("input", () => {
      stop = Number(slider.value);
      drawScores();
      drawCurves();
    });
    at("c-reset").addEventListener("click", reset);
  }
  at("c-label").addEventListener("change", reset);
  at("curves").hidden = false;
  reset();
}

// --- all of it, once what the page carries is there

unpacked("content").then((found) => {
  D = found;
  several = D.task === "multilabel";
  startRows();
  startConfusion();
  startCurves();
  startCandidates();
  document.body.dataset.ready = "true";
});

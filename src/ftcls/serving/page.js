"use strict";
const SHOWN = 12; // labels shown before "all"
const KEPT = 20; // tries in the history
const ROWS = 50; // rows of a CSV shown
const COUNTED = 8; // labels of a CSV whose number of rows is said
const METRICS = {
  accuracy: "accuracy", f1_micro: "micro-F1", f1_macro: "macro-F1",
  quadratic_weighted_kappa: "weighted kappa", accuracy_within_one: "right within one step",
};
const SAID = { multilabel: ["f1_micro", "f1_macro"], ordinal: ["quadratic_weighted_kappa", "accuracy_within_one"] };
const READ = { head: (n) => `the first ${n}`, tail: (n) => `the last ${n}`, head_tail: (n) => `the first and the last, ${n} together` };

const at = (id) => document.getElementById(id);
const make = (tag, options = {}, ...inner) => {
  const made = Object.assign(document.createElement(tag), options);
  made.append(...inner);
  return made;
};
const percent = (p) => (p > 0.9995 && p < 1 ? "> 99.9 %" : p < 0.0005 && p > 0 ? "< 0.1 %" : `${(100 * p).toFixed(1)} %`);
// As everywhere in ftcls: .8125 without the zero, and never -0.
const bare = (text) => (Number(text) === 0 ? text.replace("-", "") : text).replace(/^(-?)0\./, "$1.");
const figure = (value, digits = 4) => bare(value.toFixed(digits));
const signed = (value, digits = 4) => figure(value, digits).replace(/^(?!-)/, "+");
const interval = ([low, high]) => `${figure(low)}${figure(low).startsWith("-") ? " to " : "-"}${figure(high)}`;
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

let model = null;
let current = null; // the text of the result that is shown, with its answer
let all = false; // whether all labels are shown

// --- the server

const token = () => sessionStorage.getItem("ftcls-token");

async function call(path, options = {}) {
  const headers = { ...options.headers, ...(token() ? { Authorization: `Bearer ${token()}` } : {}) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The server cannot be reached. Is it still running?");
  }
  if (answer.status === 401) {
    sessionStorage.removeItem("ftcls-token");
    at("locked").hidden = false;
    at("token").focus();
    throw new Error("The server wants its token.");
  }
  if (!answer.ok) {
    const body = await answer.json().catch(() => ({ detail: answer.statusText }));
    const wait = answer.headers.get("Retry-After");
    throw new Error(`${body.detail}${wait && !String(body.detail).includes("again") ? `; try again in ${wait} s` : ""}`);
  }
  return answer;
}

const post = async (path, body) =>
  (await call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();

async function busy(button, work) {
  at("problem").hidden = true;
  const words = button.textContent;
  button.disabled = true;
  button.textContent = "…";
  button.setAttribute("aria-label", `${words}: working`);
  try {
    await work();
  } catch (error) {
    at("problem").textContent = error.message;
    at("problem").hidden = false;
  } finally {
    button.disabled = false;
    button.textContent = words;
    button.removeAttribute("aria-label");
  }
}

// --- the model

async function describe() {
  model = await (await call("model")).json();
  const scores = model.scores ?? {};
  const names = SAID[model.task] ?? ["accuracy", "f1_macro"];
  const said = names.filter((name) => name in scores).map((name) => {
    const bounds = model.intervals?.[name];
    return `${METRICS[name]} ${figure(scores[name])}${bounds ? ` (${interval(bounds)})` : ""}`;
  });
  at("about").textContent = [
    `${model.task}, ${plural(model.labels.length, "label")}`,
    `reads ${plural(model.max_length, "token")}`,
    said.length ? `on test: ${said.join(", ")}` : "no scores known",
  ].join("; ");
  at("locked").hidden = true;
  at("to-report").hidden = !model.report || token() !== null; // a link brings no token along
  boxes();
  knobs();
  if (model.examples) offerExamples((await (await call("examples")).json()).examples);
}

function offerExamples(list) {
  at("examples").hidden = !list.length;
  at("try").replaceChildren(...list.map(({ text }) => {
    const button = make("button", { type: "button", title: shown(text) }, shown(text));
    button.addEventListener("click", () => {
      filled(text);
      busy(at("go"), classify);
    });
    return make("li", {}, button);
  }));
}

// --- thresholds of this page

const ALL = ""; // every label
let own = {}; // those that were moved, by label

const positive = () => model.positive_label ?? model.labels[1];

const hasThresholds = () => model.task === "binary" || model.task === "multilabel";

// From which probability on each label is given here; null where the likeliest label is.
function thresholds() {
  if (!hasThresholds() || (model.thresholds === null && !Object.keys(own).length)) return model.thresholds;
  const served = model.thresholds ?? Object.fromEntries(model.labels.map((label) => [label, 0.5]));
  return { ...served, ...own };
}

// The answer's labels, by the thresholds of this page where one was moved.
function given(answer) {
  if (!Object.keys(own).length) return answer.labels;
  const from = thresholds();
  if (model.task === "multilabel") return model.labels.filter((label) => answer.probabilities[label] >= from[label]);
  const above = model.labels.map((label) => answer.probabilities[label] - from[label]);
  return [model.labels[above[1] > above[0] ? 1 : 0]];
}

function knobs() {
  own = {};
  at("thresholds").hidden = !hasThresholds();
  at("of-label").hidden = model.task !== "multilabel";
  at("threshold-label").replaceChildren(...(model.task === "multilabel"
    ? [make("option", { value: ALL }, "all labels"), ...model.labels.map((label) => make("option", { value: label }, label))]
    : [make("option", { value: positive() }, positive())]));
  knob();
  at("feedback").hidden = !model.feedback;
  at("really").multiple = model.task === "multilabel";
  at("really").size = model.task === "multilabel" ? Math.min(5, model.labels.length) : 0;
}

function knob() {
  if (!hasThresholds()) return;
  const label = at("threshold-label").value;
  const from = thresholds() ?? Object.fromEntries(model.labels.map((each) => [each, 0.5]));
  const values = label === ALL ? [...new Set(Object.values(from))] : [from[label]];
  at("threshold").value = values[0];
  at("threshold-value").textContent = values.length > 1 ? "their own" : percent(values[0]);
  const quoted = label === ALL || model.task === "binary" ? "" : `${label}=`;
  const word = `${quoted}${Number(values[0].toFixed(4))}`;
  at("threshold-line").textContent = `--threshold ${/^[\w.=-]+$/.test(word) ? word : `"${word}"`}`;
  at("threshold-note").hidden = !Object.keys(own).length || values.length > 1;
}

function moved() {
  const label = at("threshold-label").value;
  const value = Number(at("threshold").value);
  for (const each of label === ALL ? model.labels : [label]) own[each] = value;
  if (model.task === "binary") own[model.labels.find((each) => each !== label)] = 1 - value;
  knob();
  if (current) show(current.text, current.answer, false);
}

// --- one text, or a pair

const isPair = () => model.text_columns.second.length > 0;

// What a request asks: a text; by the first column of each, the texts of a pair; columns beside them that are filled in.
function asked() {
  const { first, second, beside } = model.text_columns;
  if (!isPair() && !beside.length) return at("text").value;
  return {
    [first[0]]: at("text").value,
    ...(isPair() ? { [second[0]]: at("second").value } : {}),
    ...Object.fromEntries(beside.map((name) => [name, at(`column-${name}`).value]).filter(([, value]) => value.trim())),
  };
}

const sides = (text) => (typeof text === "string" ? [text] : Object.values(text));
const texts = (text) => sides(text).slice(0, isPair() ? 2 : 1);

const shown = (text) => sides(text).map((side) => side.trim()).join(" ‖ ");

function boxes() {
  at("pair").hidden = !isPair();
  const { beside } = model.text_columns;
  at("columns").hidden = !beside.length;
  at("columns").replaceChildren(...beside.map((name) =>
    make("label", {}, `${name} `, make("input", { id: `column-${name}`, autocomplete: "off" }))));
  if (!isPair()) return;
  const { first, second } = model.text_columns;
  at("ask-head").textContent = "Pair of texts";
  at("hint").textContent = `The first text (${first.join(" + ")}). A CSV file can be dropped here.`;
  at("second-hint").textContent = `The second text (${second.join(" + ")})`;
}

function show(text, answer, moved = true) {
  current = { text, answer };
  const said = at("said");
  said.replaceChildren();
  if (model.task === "multilabel") {
    const tags = strongest(answer).map((label) => make("span", { className: "tag" }, `${label} ${percent(answer.probabilities[label])}`));
    said.append(make("p", { className: "verdict-label" }, ...(tags.length ? tags : ["no label"])));
    said.append(make("p", { className: "soft" }, tags.length ? `${plural(tags.length, "label")} above the threshold` : "No label reaches its threshold."));
  } else {
    const label = given(answer)[0];
    said.append(make("p", { className: "verdict-label" }, label));
    said.append(make("p", { className: "soft" }, `with a probability of ${percent(answer.probabilities[label])}`));
  }
  at("cut").hidden = !answer.truncated;
  const read = READ[model.truncation](model.max_length.toLocaleString("en"));
  at("cut").textContent = `The text is cut: of its ${plural(answer.tokens, "token")} the model reads ${read}.`;
  bars();
  if (!moved) return; // only a threshold did; words and feedback stay
  ask();
  at("for-label").replaceChildren(...ranked().map(([label]) => make("option", { value: label }, label)));
  at("for-label").value = strongest(answer)[0] ?? ranked()[0][0];
  at("words").hidden = true;
  at("result").hidden = false;
  at("result").focus({ preventScroll: false });
}

const strongest = (answer) => [...given(answer)].sort((a, b) => answer.probabilities[b] - answer.probabilities[a]);

const ranked = () => Object.entries(current.answer.probabilities).sort((a, b) => b[1] - a[1]);

function bars() {
  const chosen = new Set(given(current.answer));
  const from = thresholds();
  const drawn = from !== null;
  at("from").hidden = !drawn;
  at("line-note").textContent = drawn ? "; the line is the threshold" : "";
  const rows = ranked();
  const shown = all ? rows : rows.filter(([label], index) => index < SHOWN || chosen.has(label));
  at("scores").replaceChildren(...shown.map(([label, p]) => {
    const fill = make("div", { className: "fill" });
    fill.style.width = `${100 * p}%`;
    const track = make("div", { className: "track" }, fill);
    // The roles are said because the phone's layout takes a table's own away.
    const cells = [make("th", { scope: "row", role: "rowheader" }, label), make("td", { className: "n", role: "cell" }, percent(p))];
    if (drawn) {
      const tick = make("div", { className: "tick" });
      tick.style.left = `${100 * from[label]}%`;
      track.append(tick);
      cells.push(make("td", { className: "n", role: "cell" }, percent(from[label])));
    }
    const bar = make("td", { className: "wide" }, track);
    bar.setAttribute("aria-hidden", "true");
    return make("tr", { className: chosen.has(label) ? "given" : "", role: "row" }, ...cells, bar);
  }));
  at("more").hidden = rows.length <= SHOWN;
  at("more").textContent = all ? `Only the first ${SHOWN}` : `All ${rows.length} labels`;
}

async function classify() {
  if (model === null) await describe();
  const text = asked();
  if (texts(text).some((side) => !side.trim())) {
    throw new Error(isPair() ? "Both texts are wanted." : "There is no text yet.");
  }
  const { predictions } = await post("predict", { text });
  show(text, predictions[0]);
  remember(text, predictions[0]);
}

// --- what people say of an answer

function ask() {
  if (!model.feedback) return;
  const said = given(current.answer);
  const others = model.task === "multilabel" ? model.labels : model.labels.filter((label) => !said.includes(label));
  at("really").replaceChildren(
    ...others.map((label) => make("option", { value: label, selected: model.task === "multilabel" && said.includes(label) }, label)),
    ...(model.task === "multilabel" ? [] : [make("option", { value: "" }, "something else")]),
  );
  at("thanks").textContent = "";
  for (const button of ["right", "wrong"]) at(button).disabled = false;
}

async function say(labels) {
  const predicted = given(current.answer);
  await call("feedback", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ text: current.text, predicted, labels }),
  });
  at("thanks").textContent = "Kept. Thank you.";
}

const feedback = (button, labels) => busy(button, async () => {
  await say(labels());
  // One answer, one word on it: the button is free again once another text is asked.
  setTimeout(() => ["right", "wrong"].forEach((each) => { at(each).disabled = true; }));
});

// --- the words

async function weigh() {
  const { text } = current;
  const found = await post("words", { text, label: at("for-label").value });
  const most = Math.max(...found.words.map((word) => Math.abs(word.weight)), 1e-9);
  const pieces = found.texts.map(() => []);
  const ends = found.texts.map(() => 0);
  for (const word of found.words) {
    const side = found.texts[word.text];
    pieces[word.text].push(side.slice(ends[word.text], word.start));
    const slight = Math.abs(word.weight) < 0.05 * most;
    const mark = make("span", {
      className: slight ? "" : word.weight >= 0 ? "for" : "against",
      title: signed(word.weight, 2),
    }, side.slice(word.start, word.end));
    mark.style.setProperty("--share", (Math.abs(word.weight) / most).toFixed(3));
    pieces[word.text].push(mark);
    ends[word.text] = word.end;
  }
  at("marked").replaceChildren(...found.texts.flatMap((side, index) => [
    ...(index ? [make("br"), make("br")] : []), ...pieces[index], side.slice(ends[index]),
  ]));
  const strongest = (sign) => found.words.filter((word) => sign * word.weight > 0)
    .sort((a, b) => sign * (b.weight - a.weight)).slice(0, 5)
    .map((word) => `“${found.texts[word.text].slice(word.start, word.end)}” ${signed(word.weight, 2)}`);
  const lines = [["For", strongest(1)], ["Against", strongest(-1)]].filter(([, list]) => list.length);
  at("words-said").replaceChildren(
    ...lines.map(([name, list]) => make("p", {}, `${name} ${found.label}, in log odds: ${list.join("; ")}`)),
  );
  if (!lines.length) at("words-said").append(make("p", {}, "No word makes a difference."));
  at("words").hidden = false;
}

// --- the last tries

const tries = () => {
  try {
    return JSON.parse(sessionStorage.getItem("ftcls-tries") ?? "[]");
  } catch {
    return [];
  }
};

function remember(text, answer) {
  const list = [{ text, answer }, ...tries().filter((each) => shown(each.text) !== shown(text))].slice(0, KEPT);
  try {
    sessionStorage.setItem("ftcls-tries", JSON.stringify(list));
  } catch {
    sessionStorage.removeItem("ftcls-tries"); // the texts are too long for the browser's store
  }
  history_(list);
}

// The boxes with a text that was asked before.
function filled(text) {
  [at("text").value, at("second").value] = [...texts(text), ""];
  for (const name of model?.text_columns.beside ?? []) at(`column-${name}`).value = text[name] ?? "";
  counted();
}

function history_(list) {
  at("past").hidden = !list.length;
  at("tries").replaceChildren(...list.map(({ text, answer }) => {
    const label = strongest(answer).join(", ") || "no label";
    const sure = answer.labels.length === 1 ? ` ${percent(answer.probabilities[answer.labels[0]])}` : "";
    const button = make("button", { type: "button" },
      make("span", { className: "what" }, shown(text).slice(0, 200)),
      make("span", { className: "said" }, `${label}${sure}`));
    button.addEventListener("click", () => {
      filled(text);
      show(text, answer);
    });
    return make("li", {}, button);
  }));
}

// --- a CSV

function table(text) {
  const rows = [[""]];
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const row = rows.at(-1);
    const mark = text[i];
    if (quoted) {
      if (mark !== '"') row[row.length - 1] += mark;
      else if (text[i + 1] === '"') row[row.length - 1] += text[++i];
      else quoted = false;
    } else if (mark === '"') quoted = true;
    else if (mark === table.mark) row.push("");
    else if (mark === "\n") rows.push([""]);
    else if (mark !== "\r") row[row.length - 1] += mark;
  }
  return rows.filter((row) => row.length > 1 || row[0]);
}

// How many rows got each label: what the server adds begins with the label, and ends with the probabilities.
function counts(names, rows) {
  const several = model.task === "multilabel";
  const place = names.length - model.labels.length - 1;
  const joined = !model.labels.some((label) => label.includes("|"));
  const labels = (cell) => (!several ? [cell] : joined ? cell.split("|") : JSON.parse(cell));
  const found = new Map(model.labels.map((label) => [label, 0]));
  const readable = rows.filter((row) => row[place + 1]);
  const given = readable.filter((row) => row[place]).flatMap((row) => labels(row[place]));
  for (const label of given) found.set(label, found.get(label) + 1);
  const most = [...found].filter(([, n]) => n).sort((a, b) => b[1] - a[1]);
  const none = readable.filter((row) => !row[place] || row[place] === "[]").length;
  return [
    ...most.slice(0, COUNTED).map(([label, n]) => `${label} ${n.toLocaleString("en")}`),
    ...(most.length > COUNTED ? [`${most.length - COUNTED} more labels`] : []),
    ...(none ? [`without a label ${none.toLocaleString("en")}`] : []),
    ...(rows.length > readable.length ? [`not readable ${(rows.length - readable.length).toLocaleString("en")}`] : []),
  ].join(", ");
}

// The text of a row as a request asks it; a quote that kept a spreadsheet from computing goes.
function rowText(names, row) {
  const { first, second, beside } = model.text_columns;
  const cell = (name) => (row[names.indexOf(name)] ?? "").replace(/^'(?=[=+@\t\r-])/, "");
  if (!second.length && !beside.length) return first.map(cell).filter(Boolean).join(" ");
  return Object.fromEntries([...first, ...second, ...beside].map((name) => [name, cell(name)]));
}

// A button that shows a row as a single text: its probabilities, and the words that mattered.
function looked(names, row) {
  const button = make("button", { type: "button", className: "look" }, "look");
  const text = rowText(names, row);
  button.setAttribute("aria-label", `look at ${shown(text).slice(0, 60)}`);
  button.disabled = !sides(text).some((side) => side.trim());
  button.addEventListener("click", () => busy(button, async () => {
    const { predictions } = await post("predict", { text });
    filled(text);
    show(text, predictions[0]);
    remember(text, predictions[0]);
    await weigh();
  }));
  return make("td", {}, button);
}

// Whether what is typed is a table: a first line that names the column of the text, and more lines.
function looksLikeCsv(text) {
  if (!model) return false;
  const [head, ...rest] = text.split(/\r?\n/);
  const names = head.split(/[,;\t|]/).map((name) => name.trim().replace(/^"|"$/g, ""));
  return rest.some((line) => line.trim()) && model.text_columns.first.every((name) => names.includes(name));
}

async function label(file) {
  if (model === null) await describe();
  const answer = await call("predict/file?safe_cells=true", { method: "POST", headers: { "Content-Type": "text/csv" }, body: file });
  const text = await answer.text();
  const head = text.slice(0, text.search(/\r?\n/));
  table.mark = [",", ";", "|"].reduce((best, mark) => (head.split(mark).length > head.split(best).length ? mark : best));
  const [names, ...rows] = table(text);
  at("rows-head").replaceChildren(make("tr", {}, make("td"), ...names.map((name) => make("th", { scope: "col" }, name))));
  at("rows").replaceChildren(...rows.slice(0, ROWS).map((row) => make("tr", {}, looked(names, row), ...row.map((cell, index) =>
    make("td", {}, names[index]?.startsWith("probability_") && cell ? figure(Number(cell)) : cell)))));
  at("table-said").replaceChildren(
    make("p", {}, `${file.name}: ${plural(rows.length, "row")}: ${counts(names, rows)}.`),
    make("p", { className: "soft" }, rows.length > ROWS ? `The first ${ROWS} are below.` : "All are below."),
  );
  URL.revokeObjectURL(at("download").href);
  at("download").href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  at("download").download = `labelled-${file.name}`;
  at("download").textContent = `Save labelled-${file.name}`;
  at("table").hidden = false;
  at("table").focus();
}

// --- what the user does

const counted = () => {
  const n = at("text").value.length + at("second").value.length;
  at("count").textContent = n ? plural(n, "character") : "";
};
at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(at("go"), classify);
});
for (const id of ["text", "second"]) {
  at(id).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("ask").requestSubmit();
  });
  at(id).addEventListener("input", counted);
}
at("text").addEventListener("input", () => { at("offer").hidden = !looksLikeCsv(at("text").value); });
at("as-csv").addEventListener("click", () => busy(at("as-csv"), async () => {
  await label(new File([at("text").value], "pasted.csv", { type: "text/csv" }));
  at("offer").hidden = true;
}));
at("threshold").addEventListener("input", moved);
at("threshold-label").addEventListener("change", knob);
at("threshold-reset").addEventListener("click", () => {
  own = {};
  knob();
  if (current) show(current.text, current.answer, false);
});
at("right").addEventListener("click", () => feedback(at("right"), () => given(current.answer)));
at("wrong").addEventListener("click", () => feedback(at("wrong"), () => {
  const labels = [...at("really").selectedOptions].map((option) => option.value);
  return labels.includes("") ? null : labels;
}));
at("choose").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", () => {
  const [file] = at("file").files;
  at("file").value = "";
  if (file) busy(at("choose"), () => label(file));
});
at("more").addEventListener("click", () => {
  all = !all;
  bars();
});
at("weigh").addEventListener("click", () => busy(at("weigh"), weigh));
at("forget").addEventListener("click", () => {
  sessionStorage.removeItem("ftcls-tries");
  history_([]);
  at("text").focus();
});
at("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("ftcls-token", at("token").value);
  at("token").value = "";
  busy(at("go"), describe);
});
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    at("text").classList.add("dropping");
  });
}
addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) at("text").classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  at("text").classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) busy(at("choose"), () => label(file));
});

history_(tries());
busy(at("go"), describe);

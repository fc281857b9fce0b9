// --- rows: searched, filtered by labels, length and loss, sorted, a few at a time

const SHOWN = 25; // rows at a time
const CUT = 280; // characters of a text that are shown at once

let D = null; // what the page carries
let several = false;
let chosen = []; // places of the rows that pass the filter, in order
let shownRows = 0;
const NONE = "none"; // in place of a label's number: no label at all

const name = (label) => (label === NONE ? "no label" : D.labels[label]);
const missed = (i) => D.rows.gold[i].filter((label) => !D.rows.given[i].includes(label));
const wrongly = (i) => D.rows.given[i].filter((label) => !D.rows.gold[i].includes(label));
const isWrong = (i) => missed(i).length > 0 || wrongly(i).length > 0;
const probabilityOf = (i, label) => {
  const listed = [...new Set([...D.rows.given[i], ...D.rows.gold[i]])];
  return D.rows.sure[i][listed.indexOf(label)];
};
// Of what was given, or where that is nothing of what was missed, how sure the model was.
const sureness = (i) => {
  const given = D.rows.given[i].map((label) => probabilityOf(i, label));
  return given.length ? Math.max(...given) : 1 - Math.max(0, ...missed(i).map((label) => probabilityOf(i, label)));
};
const ORDERS = {
  loss: (a, b) => D.rows.loss[b] - D.rows.loss[a],
  sure: (a, b) => sureness(b) - sureness(a),
  unsure: (a, b) => sureness(a) - sureness(b),
  long: (a, b) => D.rows.tokens[b] - D.rows.tokens[a],
  short: (a, b) => D.rows.tokens[a] - D.rows.tokens[b],
  row: (a, b) => D.rows.row[a] - D.rows.row[b],
};

function passes() {
  const value = (id) => at(id)?.value ?? "";
  const words = value("f-text").toLowerCase().split(/\s+/).filter(Boolean);
  const kind = value("f-kind");
  const [gold, given] = ["f-gold", "f-given"].map((id) => (value(id) === "" ? null : value(id) === NONE ? NONE : Number(value(id))));
  const least = value("f-short") === "" ? -Infinity : Number(value("f-short"));
  const most = value("f-long") === "" ? Infinity : Number(value("f-long"));
  const loss = value("f-loss") === "" ? -Infinity : Number(value("f-loss"));
  const has = (list, wanted) => wanted === null || (wanted === NONE ? !list.length : list.includes(wanted));
  return (i) => {
    const wrong = isWrong(i);
    if (kind === "wrong" && !wrong) return false;
    if (kind === "right" && wrong) return false;
    // Of several labels those that were missed or wrongly given; among right rows those that were found.
    const same = several && gold !== null && gold === given;
    const [golds, givens] = several && !same ? [missed(i), wrongly(i)] : [D.rows.gold[i], D.rows.given[i]];
    if (!has(golds, gold) || !has(givens, given)) return false;
    if (D.rows.loss[i] < loss) return false;
    if (D.rows.tokens && (D.rows.tokens[i] < least || D.rows.tokens[i] > most)) return false;
    if (!words.length) return true;
    const text = D.rows.text ? D.rows.text[i].toLowerCase() : "";
    return words.every((word) => text.includes(word) || String(D.rows.row[i]) === word);
  };
}

// The labels of a side, those that the other has not marked.
function tags(labels, others, i) {
  if (!labels.length) return [make("span", { className: "tag none" }, "no label")];
  return labels.flatMap((label) => [make("span", { className: others.includes(label) ? "tag" : "tag off" }, name(label), make("small", {}, ` ${figure(probabilityOf(i, label), 3)}`)), " "]);
}

function shownText(i) {
  const text = D.rows.text ? D.rows.text[i] : "";
  if (text.length <= CUT) return make("p", { className: "text" }, text || (D.rows.text ? "(empty text)" : ""));
  return make("details", {},
    make("summary", { className: "text" }, `${text.slice(0, CUT).replace(/\s\S*$/, "")} …`),
    make("p", { className: "text whole" }, text));
}

function example(i) {
  const facts = [`loss ${figure(D.rows.loss[i], 2)}`, D.rows.tokens ? `${whole(D.rows.tokens[i])} tokens` : null, `row ${whole(D.rows.row[i])} of ${D.file}`];
  return make("article", { className: "example" },
    make("p", {}, "gold ", ...tags(D.rows.gold[i], D.rows.given[i], i), " given ", ...tags(D.rows.given[i], D.rows.gold[i], i),
      make("span", { className: "soft" }, ` ${facts.filter(Boolean).join(", ")}`)),
    shownText(i));
}

function moreRows() {
  const next = chosen.slice(shownRows, shownRows + SHOWN);
  at("list").append(...next.map(example));
  shownRows += next.length;
  at("more-rows").hidden = shownRows >= chosen.length;
  at("more-rows").textContent = `Show ${Math.min(SHOWN, chosen.length - shownRows)} more of ${whole(chosen.length - shownRows)}`;
}

function filterRows() {
  const fits = passes();
  chosen = [];
  for (let i = 0; i < D.rows.row.length; i++) if (fits(i)) chosen.push(i);
  chosen.sort(ORDERS[at("f-order").value]);
  const all = D.total === D.rows.row.length ? "" : " in this page";
  at("found").textContent = `${whole(chosen.length)} ${chosen.length === 1 ? "row" : "rows"}${all}`;
  at("save-rows").disabled = !chosen.length;
  at("list").replaceChildren();
  shownRows = 0;
  moreRows();
}

function saveRows() {
  const labels = (list) => list.map(name).join("; ");
  save(`${D.run}-rows.csv`, [
    ["row", "file", "gold", "given", "loss", "tokens", "text"],
    ...chosen.map((i) => [D.rows.row[i], D.file, labels(D.rows.gold[i]), labels(D.rows.given[i]), D.rows.loss[i],
      D.rows.tokens ? D.rows.tokens[i] : null, D.rows.text ? D.rows.text[i] : ""]),
  ]);
}

// The texts behind a confusion, a row of the table of labels, anything that is clicked.
function showRows(kind, gold, given) {
  if (!at("rows")) return;
  at("filter").reset();
  at("f-kind").value = kind;
  at("f-gold").value = gold ?? "";
  at("f-given").value = given ?? "";
  filterRows();
  at("errors").scrollIntoView();
  at("found").tabIndex = -1;
  at("found").focus({ preventScroll: true });
}

function startRows() {
  if (!at("rows")) return;
  const options = (any, none) => [make("option", { value: "" }, any), ...(several ? [make("option", { value: NONE }, none)] : []),
    ...D.labels.map((label, index) => make("option", { value: index }, label))];
  at("f-gold").replaceChildren(...options("any", "nothing"));
  at("f-given").replaceChildren(...options("any", "nothing"));
  let waiting = 0;
  at("filter").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filterRows, 120);
  });
  at("filter").addEventListener("submit", (event) => event.preventDefault());
  at("filter").addEventListener("reset", () => setTimeout(filterRows));
  at("more-rows").addEventListener("click", moreRows);
  at("save-rows").addEventListener("click", saveRows);
  filterRows();
  at("rows").hidden = false;
  at("rows-static").hidden = true;
}

function startCandidates() {
  if (!at("save-candidates")) return;
  at("save-candidates").hidden = false;
  at("save-candidates").addEventListener("click", () => save(`${D.run}-relabel.csv`, [D.candidates.head, ...D.candidates.rows]));
}

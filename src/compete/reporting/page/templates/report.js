"use strict";
(() => {
  const root = document.documentElement;

  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // "2 h 05 min" in seconds, what begins with a number as that number; NaN for words, dates, versions, "3/5".
  const seconds = { s: 1, min: 60, h: 3600 };
  const amount = (cell) => {
    const times = /^[\d.]+ (s|min|h)\b/.test(cell) ? [...cell.matchAll(/([\d.]+) (s|min|h)\b/g)] : [];
    if (times.length) return times.reduce((sum, [, count, unit]) => sum + count * seconds[unit], 0);
    return /^[+-]?\d+(\.\d+)?(?= |$)/.test(cell) ? parseFloat(cell) : NaN;
  };

  // Numbers by value, everything else by the alphabet; "-" comes last either way.
  const compare = (a, b, ascending) => {
    if (a === "-" || b === "-") return (a === "-") - (b === "-");
    const difference = amount(a) - amount(b);
    const order = Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference;
    return ascending ? order : -order;
  };

  const mark = (header, ascending) => {
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  };

  const onActivate = (header, action) => {
    header.tabIndex = 0;
    header.addEventListener("click", action);
    header.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); action(); }
    });
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      onActivate(header, () => {
        const ascending = header.getAttribute("aria-sort") !== "ascending";
        const value = (row) => row.cells[column].textContent.replace(/,/g, "");
        const rows = [...body.rows].sort((a, b) => compare(value(a), value(b), ascending));
        mark(header, ascending);
        body.append(...rows);
      });
    });
  }

  const source = document.getElementById("hard-rows");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const numbers = data.kind === "numbers" || data.kind === "grades";
  const mean = (values) => values.reduce((sum, each) => sum + each, 0) / Math.max(values.length, 1);
  const all = data.rows.map(([text, label, truth, p, loss, fold, suspect, models]) => ({
    id: data.ids[text], text: data.texts[text], label, truth, p, loss, fold, suspect, models,
    agree: data.kind === "labels" ? models.filter((m) => (m >= 0.5) === (truth === 1)).length : mean(models),
    key: (data.ids[text] + "\n" + data.texts[text]).toLowerCase(),
  }));
  const step = 25;
  let sort = { key: "loss", ascending: false }, shown = step;
  const by = (id) => document.getElementById(id);
  const body = by("rows").tBodies[0];

  const element = (tag, className, content) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (content !== undefined) made.textContent = content;  // never as markup: texts are anybody's
    return made;
  };

  const svgElement = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };

  // A line from 0 to 1, or over the target's range, with a mark per model; across it one half, or what is true.
  const strip = (row) => {
    const [low, high] = numbers ? data.ranges[row.label] : [0, 1];
    const place = (value) => 2 + 80 * (value - low) / (high - low || 1);
    const middle = place(numbers ? row.truth : 0.5);
    const svg = svgElement("svg", { width: 84, height: 14, class: "strip", "aria-hidden": "true" });
    svg.append(svgElement("line", { x1: 2, x2: 82, y1: 7, y2: 7, stroke: "var(--grid)" }));
    svg.append(svgElement("line", { x1: middle, x2: middle, y1: 3, y2: 11, stroke: "var(--muted)" }));
    for (const p of row.models) {
      svg.append(svgElement("circle", { cx: place(p), cy: 7, r: 3, fill: "var(--blue)", "fill-opacity": 0.65 }));
    }
    return svg;
  };

  const predictions = (row) => {
    const details = element("details"), summary = element("summary"), list = element("ul");
    summary.append(strip(row));
    row.models.forEach((p, i) => list.append(element("li", "", `${p.toFixed(3)} ${data.models[i]}`)));
    details.append(summary, list);
    return details;
  };

  const said = (row) => (numbers ? String(row.truth) : data.kind === "classes" ? data.labels[row.truth] : row.truth ? "yes" : "no");

  const line = (row) => {
    const tr = element("tr");
    const text = element("td", "text", row.text);
    text.append(element("span", "id", row.id));
    const truth = element("td", "", said(row));
    if (row.suspect) truth.append(document.createElement("br"), element("span", "mark", "likely wrong"));
    const models = element("td", "number");
    models.append(predictions(row));
    tr.append(
      element("td", "number", row.loss.toFixed(2)), element("td", "", data.labels[row.label]), truth,
      element("td", "number", row.p.toFixed(3)), text, models, element("td", "number", row.fold),
    );
    return tr;
  };

  const value = (row) => (sort.key === "label" ? data.labels[row.label] : row[sort.key]);
  const order = (a, b) => {
    const x = value(a), y = value(b);
    const difference = typeof x === "string" ? x.localeCompare(y) : x - y;
    return (sort.ascending ? 1 : -1) * difference || b.loss - a.loss;
  };

  const show = () => {
    const wanted = by("search").value.trim().toLowerCase(), label = by("label").value;
    const truth = by("truth") ? by("truth").value : "", suspects = by("suspects") && by("suspects").checked;
    const rows = all.filter((row) =>
      (!wanted || row.key.includes(wanted)) && (label === "" || row.label === Number(label)) &&
      (truth === "" || row.truth === Number(truth)) && (!suspects || row.suspect)).sort(order);
    body.replaceChildren(...rows.slice(0, shown).map(line));
    by("count").textContent = `${rows.length} of ${all.length} rows`;
    by("more").hidden = rows.length <= shown;
  };

  for (const header of document.querySelectorAll("#rows th[data-key]")) {
    onActivate(header, () => {
      const { key } = header.dataset;
      sort = { key, ascending: sort.key === key ? !sort.ascending : key !== "loss" };
      mark(header, sort.ascending);
      show();
    });
  }
  for (const id of ["search", "label", "truth", "suspects"].filter(by)) {
    by(id).addEventListener("input", () => { shown = step; show(); });
  }
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  by("more").addEventListener("click", () => { shown += 4 * step; show(); });
  show();
})();

/* The table of each analysis: searched, filtered by columns of few values, sorted; else as the results table. */
mixflow.analyses = function (onPick) {
  const at = new Map(mixflow.features.id.map((id, i) => [id, i]));
  for (const told of mixflow.facts.analyses) {
    const home = document.querySelector(`[data-analysis="${told.id}"]`);
    const data = mixflow.array(`y/${told.id}`), keys = Object.keys(data);
    const numeric = new Set(told.columns.filter((c) => !c.text).flatMap((c) => [c.key, c.high]));
    const texts = keys.filter((k) => !numeric.has(k));
    const rows = data[keys[0]].map((_, i) => { /* `cells` apart: a column may be called as a field of the row */
      const cells = Object.fromEntries(keys.map((k) => [k, numeric.has(k) ? mixflow.read(data[k][i]) : data[k][i]]));
      return { cells, place: i, id: cells.feature, name: cells.name, at: at.get(cells.feature), find: texts.map((k) => cells[k]).join(" ").toLowerCase() };
    });
    mixflow.analysis(home, told, rows, onPick);
  }
};
mixflow.read = (value) => (value === null ? NaN : Number(value));
mixflow.written = {
  text: (v) => v, yes: (v) => (v ? "yes" : "no"), whole: (v) => mixflow.endless(v) || v.toLocaleString("en").replace("-", "−"),
  number: (v) => mixflow.endless(v) || mixflow.number(v), p: (v) => (v === 0 ? "<1e−300" : mixflow.p(Math.log10(v))),
};
mixflow.endless = (v) => (Number.isNaN(v) ? "–" : v === Infinity ? "∞" : v === -Infinity ? "−∞" : "");
mixflow.analysis = function (home, told, rows, onPick) {
  const show = (c) => ({ cells }) => (c.kind === "interval" ? `${mixflow.written.number(cells[c.key])} to ${mixflow.written.number(cells[c.high])}` : mixflow.written[c.kind](cells[c.key]));
  const table = Object.assign(Object.create(mixflow.table), {
    columns: told.columns.map((c) => ({ ...c, show: show(c) })), size: 10, by: "", onPick,
    value(r) { const v = this.by ? r.cells[this.by] : r.place; return typeof v === "boolean" ? Number(v) : v === Infinity ? Number.MAX_VALUE : v; },
  });
  const make = mixflow.element, [controls, pager] = [home.querySelector(".controls"), home.querySelector(".pager")];
  const back = make("button", { type: "button" }, "Previous"), next = make("button", { type: "button" }, "Next"), page = make("span", { role: "status" });
  pager.append(back, page, next);
  const search = make("input", { type: "search", placeholder: "name, id or any word", autocomplete: "off" });
  const selects = Object.entries(told.choices).map(([key, values]) => {
    const select = make("select", {}, new Option("all", ""), ...values.map((v) => new Option(v || "none", v || " ")));
    return [key, select, make("label", {}, told.columns.find((c) => c.key === key).label, select)];
  });
  const count = make("p", { role: "status", class: "note" });
  const fill = () => {
    const text = search.value.trim().toLowerCase();
    const chosen = rows.filter((r) => r.find.includes(text) && selects.every(([key, select]) => !select.value || String(r.cells[key] || " ") === select.value));
    count.textContent = chosen.length === rows.length ? "" : `${chosen.length} of the ${rows.length} rows in this page`;
    table.show(chosen);
  };
  let timer;
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(fill, 120); });
  for (const [, select] of selects) select.addEventListener("change", fill);
  controls.append(make("label", {}, "Search", search), ...selects.map(([, , label]) => label));
  controls.after(count);
  table.build(home.querySelector("table"), back, page, next);
  controls.hidden = rows.length <= table.size && !selects.length;
  pager.hidden = rows.length <= table.size;
  fill();
};

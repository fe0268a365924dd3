/* The table of results: sorted by its headers, 25 rows a page, downloaded as shown. Tables of analyses inherit
   from it (analysis.js) with columns, places and a `value` of their own. */
mixflow.table = {
  columns: [
    { key: "name", label: "Feature", text: true },
    { key: "id", label: "Id", text: true },
    { key: "estimate", label: "Difference", show: (r) => mixflow.number(r.estimate) },
    { key: "ratio", label: "", show: (r) => mixflow.number(Math.exp(r.estimate)) },
    { key: "conf_low", label: "95 % interval", show: (r) => mixflow.interval(r, mixflow.table.scaleOf) },
    { key: "std_error", label: "SE", show: (r) => mixflow.number(r.std_error) },
    { key: "df", label: "df", show: (r) => mixflow.endless(r.df) || mixflow.number(r.df) },
    { key: "log10_p", label: "p", show: (r) => mixflow.p(r.log10_p) },
    { key: "q_value", label: "q", show: (r) => mixflow.p(Math.log10(r.q_value)) },
    { key: "n_obs", label: "n", show: (r) => String(r.n_obs) },
    { key: "status", label: "Status", text: true, show: (r) => mixflow.facts.statuses[r.status] },
  ],
  scaleOf: { estimate: "Difference", ratio: "" },
  size: 25, rows: [], page: 0, by: "log10_p", up: true,

  start(onPick) {
    this.onPick = onPick;
    if (mixflow.features.id.every((id, i) => id === mixflow.features.name[i])) this.columns = this.columns.filter((c) => c.key !== "id");
    const get = (id) => document.getElementById(id);
    this.build(get("x-table"), get("x-back"), get("x-page"), get("x-next"));
  },
  build(node, back, told, next) {
    Object.assign(this, { node, back, told, next });
    this.head();
    back.addEventListener("click", () => this.turn(-1));
    next.addEventListener("click", () => this.turn(1));
  },
  /* Headings of a model's scale: a ratio stands beside a log ratio only. */
  use(scale) {
    this.every ??= this.columns;
    this.scaleOf = scale;
    const labels = { estimate: scale.estimate, ratio: scale.ratio, conf_low: scale.ratio ? "95 % interval of the ratio" : "95 % interval" };
    this.columns = this.every.filter((c) => c.key !== "ratio" || scale.ratio).map((c) => ({ ...c, label: labels[c.key] ?? c.label }));
    this.head();
  },
  head() {
    const row = mixflow.element("tr");
    for (const column of this.columns) {
      const button = mixflow.element("button", { type: "button", onclick: () => this.sortBy(column.key) }, column.label);
      row.append(mixflow.element("th", { scope: "col", class: column.text ? "" : "n", "data-key": column.key }, button));
    }
    this.node.tHead.replaceChildren(row);
  },
  show(rows) { this.rows = rows; this.page = 0; this.sort(); this.draw(); },
  sortBy(key) { this.up = this.by === key ? !this.up : true; this.by = key; this.page = 0; this.sort(); this.draw(); },
  value(r) { if (this.by === "ratio") return r.estimate; return this.by === "status" ? mixflow.facts.statuses[r.status] : r[this.by]; },
  sort() {
    const sign = this.up ? 1 : -1;
    this.rows = this.rows.slice().sort((a, b) => {
      const x = this.value(a), y = this.value(b);
      if (typeof x === "string") return sign * x.localeCompare(y, "en", { numeric: true });
      if (!Number.isFinite(x) || !Number.isFinite(y)) return Number.isFinite(y) - Number.isFinite(x); /* no number: last */
      return sign * (x - y);
    });
  },
  turn(step) { this.page += step; this.draw(); },
  draw() {
    const pages = Math.max(1, Math.ceil(this.rows.length / this.size));
    const body = this.node.tBodies[0];
    body.replaceChildren(...this.rows.slice(this.page * this.size, (this.page + 1) * this.size).map((r) => this.line(r)));
    for (const th of this.node.tHead.querySelectorAll("th")) {
      if (th.dataset.key === this.by) th.setAttribute("aria-sort", this.up ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    }
    this.told.textContent = `page ${this.page + 1} of ${pages}`;
    this.back.disabled = this.page === 0;
    this.next.disabled = this.page >= pages - 1;
  },
  line(r) {
    const row = mixflow.element("tr");
    this.columns.forEach((column, i) => {
      const content = i === 0 && r.at !== undefined ? mixflow.element("button", { type: "button", class: "link", onclick: () => this.onPick(r) }, r.name) : column.show ? column.show(r) : r[column.key];
      row.append(mixflow.element(i === 0 ? "th" : "td", i === 0 ? { scope: "row" } : { class: column.text ? "" : "n" }, content));
    });
    return row;
  },
  download(name) {
    const ratio = this.scaleOf.ratio ? ["ratio", "ratio_low", "ratio_high"] : [];
    const keys = ["id", "name", "estimate", ...ratio, "std_error", "df", "statistic", "p_value", "q_value", "conf_low", "conf_high", "n_obs"];
    const digits = mixflow.facts.precise ? 7 : 3;
    const cell = (v) => (typeof v === "number" ? (Number.isFinite(v) ? String(Number(v.toPrecision(digits))) : "NA") : String(v).replace(/[\t\r\n]/g, " "));
    const extra = Object.keys(mixflow.features.extra);
    const head = ["feature", ...keys.slice(1), "status", ...extra].join("\t");
    const lines = this.rows.map((r) => [...keys.map((k) => cell(r[k])), mixflow.facts.statuses[r.status], ...extra.map((k) => cell(mixflow.features.extra[k][r.at]))].join("\t"));
    const link = mixflow.element("a", { download: name, href: URL.createObjectURL(new Blob([[head, ...lines].join("\n") + "\n"], { type: "text/tab-separated-values" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  },
};

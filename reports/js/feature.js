/* One feature: values by group or against a number, the model's means, conditional modes, all its results. */
mixflow.one = {
  at: null,
  start() {
    const get = (id) => document.getElementById(id);
    this.search = get("f-search"); this.list = get("f-list"); this.axis = get("f-axis"); this.view = get("f-view");
    mixflow.facts.axes.forEach((a, i) => this.axis.append(new Option(a.label, i)));
    get("f-axis-label").hidden = mixflow.facts.axes.length < 2;
    this.axis.addEventListener("change", () => this.draw());
    this.search.addEventListener("input", () => this.suggest());
    this.search.addEventListener("change", () => this.choose());
    get("f-back").addEventListener("click", () => this.step(-1));
    get("f-next").addEventListener("click", () => this.step(1));
    get("one").hidden = false;
    get("static-feature").hidden = true;
    this.order = mixflow.facts.named.length ? mixflow.facts.named : mixflow.features.id.map((_, i) => i);
    this.show(this.order[0]);
  },
  suggest() {
    const text = this.search.value.trim().toLowerCase(), found = [];
    for (let i = 0; text && i < mixflow.features.id.length && found.length < 20; i++) if (mixflow.find(i).includes(text)) found.push(i);
    this.list.replaceChildren(...found.map((i) => new Option(mixflow.features.name[i], mixflow.features.id[i])));
    this.choose(true);
  },
  choose(exact = false) {
    const text = this.search.value.trim().toLowerCase();
    if (!text) return;
    let at = mixflow.features.id.findIndex((v) => v.toLowerCase() === text);
    if (at < 0) at = mixflow.features.name.findIndex((v) => v.toLowerCase() === text);
    if (at < 0 && !exact) at = mixflow.features.id.findIndex((_, i) => mixflow.find(i).includes(text));
    if (at >= 0) this.show(at);
  },
  step(by) { const i = this.order.indexOf(this.at); this.show(this.order[(i + by + this.order.length) % this.order.length]); },
  show(at) { this.at = at; mixflow.volcano.selected = at; this.draw(); if (mixflow.volcano.canvas) mixflow.volcano.draw(); },

  draw() {
    const f = mixflow.features, at = this.at, row = mixflow.facts.named.indexOf(at), e = mixflow.element;
    const told = Object.entries(f.extra).map(([k, v]) => v[at] && v[at] !== f.name[at] ? `${k}: ${v[at]}` : "").filter(Boolean).join(" · ");
    const head = e("div", {}, e("h3", {}, f.name[at]), e("p", { class: "note" }, [f.name[at] === f.id[at] ? "" : f.id[at], told].filter(Boolean).join(" · ")));
    const left = e("div", {}), right = e("div", {});
    if (row >= 0 && mixflow.facts.axes.length) left.append(...this.picture(Number(this.axis.value) || 0, row));
    else left.append(e("p", { class: "note" }, `This page has no values by sample for ${f.name[at]}; make one that has: mixflow report study.zarr --feature ${f.id[at]}`));
    if (row >= 0) mixflow.facts.modes.forEach((m, i) => right.append(...this.modes(m, i, row)));
    right.append(...this.shares(at));
    this.view.replaceChildren(e("div", { class: "one" }, head, e("div", { class: "side" }, left, right), this.results(at)));
  },
  /* Pictures are drawn at the size at which they stand, so that their letters stay legible. */
  width() { const all = this.view.clientWidth || 500; return Math.max(280, Math.min(560, innerWidth >= 896 ? (all - 40) / 2 : all)); },
  frame(width, height, low, high, unit, bottom = 34, least = 0) {
    const e = mixflow.element, box = { left: least && high >= 1e3 ? 58 : 46, right: 10, top: 10, bottom };
    const place = least ? (v) => Math.log1p(Math.max(v, 0) / least) : (v) => v; /* counts: by log(1 + v / least above 0) */
    const [from, to] = least ? [-0.04 * place(high), 1.04 * place(high)] : [low, high];
    const py = (v) => height - box.bottom - ((place(v) - from) / (to - from)) * (height - box.top - box.bottom);
    const svg = e("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    for (const t of least ? mixflow.powers(least, high) : mixflow.ticks(low, high)) {
      svg.append(e("line", { x1: box.left, x2: width - box.right, y1: py(t), y2: py(t), stroke: "var(--line)" }), e("text", { x: box.left - 6, y: py(t) + 4, "text-anchor": "end" }, mixflow.tick(t)));
    }
    svg.append(e("text", { transform: `translate(11 ${height / 2 - 10}) rotate(-90)`, "text-anchor": "middle" }, unit));
    return { svg, py, box };
  },
  picture(k, row) {
    const axis = mixflow.facts.axes[k], e = mixflow.element, n = mixflow.facts.axes[0].samples?.length || 0;
    const packed = n ? mixflow.array("values").slice(row * n, (row + 1) * n) : [], logged = axis.spread === "log1p";
    const values = logged ? packed.map(Math.expm1) : packed, yesno = axis.spread === "yes/no";
    const width3 = 3 * (axis.levels.length || axis.grid.length);
    const fit = mixflow.array(`a${k}/fit`).slice(row * width3, (row + 1) * width3);
    const means = mixflow.array(`a${k}/means`).slice(row * axis.levels.length, (row + 1) * axis.levels.length);
    const all = [...values, ...fit, ...means].filter(Number.isFinite);
    if (!all.length) return [e("p", {}, "No value was observed.")];
    const low = Math.min(...all), high = Math.max(...all), pad = (high - low) * 0.06 || 1;
    const crowded = axis.levels.reduce((sum, l) => sum + l.length + 2, 0) * 7 > this.width() - 60; /* slanted labels */
    const width = this.width(), height = Math.round(width * (crowded ? 0.8 : 0.68));
    const { svg, py, box } = this.frame(width, height, low - pad, high + pad, axis.value, crowded ? 96 : 34, logged ? Math.min(...all.filter((v) => v > 0)) || 0 : 0);
    const x = n ? mixflow.array(`a${k}/x`) : [];
    const ends = axis.levels.length ? [-0.5, axis.levels.length - 0.5] : [axis.grid[0], axis.grid[axis.grid.length - 1]];
    const px = (v) => box.left + ((v - ends[0]) / (ends[1] - ends[0] || 1)) * (width - box.left - box.right);
    const lift = (i) => values[i] + (yesno ? 0.08 * (((i * 0.7548776662) % 1) - 0.5) : 0);
    const spread = (i) => (axis.levels.length ? mixflow.jitter(i + 1) * (axis.paired && n < 400 ? 0.08 : 0.36) - 0.08 : 0);
    if (!yesno) this.pairs(svg, axis, x, values, (i) => px(x[i] + spread(i)), py);
    for (let i = 0; i < n; i++) {
      if (!Number.isFinite(values[i]) || !Number.isFinite(x[i])) continue;
      const c = axis.of[i];
      const mark = e("path", { d: mixflow.marker(mixflow.shapes[c % 6], px(x[i] + spread(i)), py(lift(i)), 3.3), fill: mixflow.onPage(c), opacity: n < 400 ? 0.7 : 0.35 });
      mark.append(e("title", {}, `${mixflow.facts.axes[0].samples[i]}: ${mixflow.number(values[i], 4)} (${axis.colours[c]})`));
      svg.append(mark);
    }
    this.fitted(svg, axis, fit, means, px, py, n > 0, yesno);
    const shorter = (t) => (t.length > 14 ? t.slice(0, 13) + "…" : t);
    const label = (v, text) => svg.append(crowded ? e("text", { transform: `translate(${px(v) + 4} ${height - box.bottom + 14}) rotate(-50)`, "text-anchor": "end" }, shorter(text)) : e("text", { x: px(v), y: height - 16, "text-anchor": "middle" }, text));
    if (axis.levels.length) axis.levels.forEach((level, i) => label(i, level)); else mixflow.ticks(...ends).forEach((t) => label(t, mixflow.tick(t)));
    svg.append(e("text", { x: (box.left + width - box.right) / 2, y: height - 1, "text-anchor": "middle" }, axis.label + (axis.unit ? ` (${axis.unit})` : "")));
    svg.setAttribute("aria-label", `${mixflow.features.name[this.at]} by ${axis.label}; ${this.inWords(axis, fit, means)}`);
    return [svg, this.legend(axis, n, Number.isFinite(fit[0]))];
  },
  inWords(axis, fit, means) {
    return axis.levels.map((level, i) => `${level}: observed mean ${mixflow.number(means[i], 4)}, model mean ${mixflow.number(fit[3 * i], 4)}`).join("; ") || `model from ${mixflow.number(fit[0], 4)} to ${mixflow.number(fit[fit.length - 3], 4)}`;
  },
  pairs(svg, axis, x, values, place, py) {
    if (!axis.units) return;
    const by = new Map();
    axis.units.forEach((u, i) => { if (Number.isFinite(values[i]) && Number.isFinite(x[i])) by.set(u, [...(by.get(u) || []), i]); });
    for (const members of by.values()) {
      if (new Set(members.map((i) => x[i])).size < 2) continue;
      members.sort((a, b) => x[a] - x[b]);
      svg.append(mixflow.element("polyline", { points: members.map((i) => `${place(i).toFixed(1)},${py(values[i]).toFixed(1)}`).join(" "), fill: "none", stroke: "var(--grey)", opacity: 0.4 }));
    }
  },
  fitted(svg, axis, fit, means, px, py, points, yesno) {
    const e = mixflow.element, ink = { stroke: "var(--ink)", "stroke-width": 2 };
    if (!axis.levels.length) {
      const at = (j) => axis.grid.map((g, i) => `${px(g).toFixed(1)},${py(fit[3 * i + j]).toFixed(1)}`);
      if (Number.isFinite(fit[0])) svg.append(e("path", { d: "M" + [...at(1), ...at(2).reverse()].join("L") + "Z", fill: "var(--ink)", opacity: 0.12 }), e("polyline", { points: at(0).join(" "), fill: "none", ...ink }));
      return;
    }
    axis.levels.forEach((_, i) => {
      const x = px(i + (points ? 0.3 : 0.08)), [mean, low, high] = fit.slice(3 * i, 3 * i + 3);
      if (Number.isFinite(mean)) svg.append(e("line", { x1: x, x2: x, y1: py(low), y2: py(high), ...ink }), e("line", { x1: x - 7, x2: x + 7, y1: py(mean), y2: py(mean), ...ink, "stroke-width": 3 }));
      if ((!points || yesno) && Number.isFinite(means[i])) svg.append(e("path", { d: mixflow.marker("diamond", px(i - (points ? 0 : 0.08)), py(means[i]), 5), fill: mixflow.onPage(points ? 5 : 0) }));
    });
  },
  legend(axis, n, fitted) {
    const e = mixflow.element;
    const items = n ? axis.colours.map((c, i) => e("li", {}, e("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, e("path", { d: mixflow.marker(mixflow.shapes[i % 6], 6, 6, 4), fill: mixflow.onPage(i) })), `${c}`)) : [e("li", {}, "diamond: observed mean")];
    if (fitted) items.push(e("li", {}, `black: mean of the model and 95 % limits, ${axis.average}`));
    if (n && axis.spread === "yes/no" && axis.levels.length) items.push(e("li", {}, "diamond: share of the samples"));
    if (axis.note) items.push(e("li", {}, axis.note));
    if (axis.paired && n && !(axis.spread === "yes/no")) items.push(e("li", {}, `lines: samples of one ${axis.paired}`));
    return e("ul", { class: "legend" }, ...items);
  },
  modes(told, k, row) {
    const e = mixflow.element, n = told.labels.length;
    const mode = mixflow.array(`u${k}/mode`).slice(row * n, (row + 1) * n), sd = mixflow.array(`u${k}/sd`).slice(row * n, (row + 1) * n);
    const order = [...mode.keys()].filter((i) => Number.isFinite(mode[i])).sort((a, b) => mode[b] - mode[a]);
    if (!order.length) return [];
    const limit = Math.max(...order.map((i) => Math.abs(mode[i]) + 1.96 * sd[i])) || 1;
    const left = 120, width = this.width(), line = n > 14 ? 11 : 19, height = order.length * line + 30;
    const px = (v) => left + ((v + limit) / (2 * limit)) * (width - left - 10);
    const svg = e("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Conditional modes of ${told.group}: ` + order.map((i) => `${told.labels[i]} ${mixflow.number(mode[i])}`).join(", ") });
    for (const t of mixflow.ticks(-limit, limit, 4)) svg.append(e("line", { x1: px(t), x2: px(t), y1: 0, y2: height - 18, stroke: t ? "var(--line)" : "var(--grey)" }), e("text", { x: px(t), y: height - 4, "text-anchor": "middle" }, mixflow.tick(t)));
    order.forEach((i, k2) => {
      const y = k2 * line + line / 2 + 2;
      svg.append(e("line", { x1: px(mode[i] - 1.96 * sd[i]), x2: px(mode[i] + 1.96 * sd[i]), y1: y, y2: y, stroke: "var(--down)", "stroke-width": 1.5 }), e("path", { d: mixflow.marker("circle", px(mode[i]), y, n > 14 ? 2.4 : 3.6), fill: "var(--down)" }));
      svg.append(e("text", { x: left - 8, y: y + 4, "text-anchor": "end", style: n > 14 ? "font-size:9px" : "" }, told.labels[i].length > 18 ? told.labels[i].slice(0, 17) + "…" : told.labels[i]));
    });
    return [e("h4", {}, `What each ${told.label} adds`), svg];
  },
  shares(at) {
    const e = mixflow.element, parts = mixflow.facts.components;
    const values = parts.map((_, i) => mixflow.array(`share/${i}`)[at]);
    if (parts.length < 2 || !values.some(Number.isFinite)) return [];
    const rows = parts.map((c, i) => e("tr", {}, e("th", { scope: "row" }, c === "Residual" ? "residual" : mixflow.facts.labels[c] || c), e("td", { class: "wide" }, e("span", { class: "bar", "aria-hidden": "true" }, e("i", { style: `width:${(100 * values[i]).toFixed(1)}%` }))), e("td", { class: "n" }, `${(100 * values[i]).toFixed(0)} %`)));
    return [e("h4", {}, "Share of its variance"), e("table", {}, e("tbody", {}, ...rows))];
  },
  results(at) {
    const e = mixflow.element, lines = [];
    const every = mixflow.facts.models.flatMap((model, m) => model.contrasts.map((contrast, c) => ({ model, m, contrast, c })));
    const place = mixflow.facts.models[0].contrasts.map((c) => c.name);
    every.sort((a, b) => place.indexOf(a.contrast.name) - place.indexOf(b.contrast.name) || a.m - b.m);
    every.forEach(({ model, m, contrast, c }) => {
      const r = mixflow.row(m, c, at);
      if (!r) return;
      const shown = model.scale.ratio || model.scale.estimate;
      const cells = [shown, mixflow.number(model.scale.ratio ? r.ratio : r.estimate), mixflow.interval(r, model.scale), mixflow.endless(r.df) || mixflow.number(r.df), mixflow.p(r.log10_p), mixflow.p(Math.log10(r.q_value)), r.n_obs];
      lines.push(e("tr", {}, e("th", { scope: "row" }, contrast.name), e("td", {}, model.title), ...cells.map((v, i) => e("td", { class: i ? "n" : "" }, String(v))), e("td", {}, mixflow.facts.statuses[r.status])));
    });
    if (!lines.length) return "";
    const head = ["Contrast", "Model", "What", "Estimate", "95 % interval", "df", "p", "q", "n", "Status"].map((t, i) => e("th", { scope: "col", class: i > 2 && i < 9 ? "n" : "" }, t));
    return e("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "All results of this feature" }, e("table", {}, e("thead", {}, e("tr", {}, ...head)), e("tbody", {}, ...lines)));
  },
};

mixflow.row = function (model, contrast, at) {
  const key = `by ${model} ${contrast}`;
  mixflow.cache[key] ??= new Map(mixflow.results(model, contrast).map((r) => [r.at, r]));
  return mixflow.cache[key].get(at);
};

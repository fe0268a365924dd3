/* The explorer of results: which contrast, which model, which features; volcano and table follow. */
mixflow.explorer = {
  start(onPick) {
    const get = (id) => document.getElementById(id);
    this.contrast = get("x-contrast"); this.model = get("x-model"); this.search = get("x-search");
    this.hits = get("x-hits"); this.size = get("x-size");
    mixflow.facts.models[0].contrasts.forEach((c, i) => this.contrast.append(new Option(c.name, i)));
    mixflow.facts.models.forEach((m, i) => this.model.append(new Option(m.title + (i ? "" : " (headline)"), i)));
    mixflow.volcano.start(onPick);
    mixflow.table.start(onPick);
    for (const node of [this.contrast, this.model, this.hits]) node.addEventListener("change", () => this.show());
    for (const node of [this.search, this.size]) node.addEventListener("input", () => { clearTimeout(this.timer); this.timer = setTimeout(() => this.show(), 120); });
    get("x-download").addEventListener("click", () => mixflow.table.download(this.fileName()));
    get("explorer").hidden = false;
    for (const article of document.querySelectorAll("#static-results article")) article.hidden = true;
    this.show();
  },
  fileName() {
    const model = mixflow.facts.models[this.model.value];
    return `${mixflow.facts.study}_${model.name}_${mixflow.facts.models[0].contrasts[this.contrast.value].slug}.tsv`;
  },
  /* The same contrast in the chosen model: models may have others, or another order. */
  current() {
    const wanted = mixflow.facts.models[0].contrasts[this.contrast.value];
    const model = mixflow.facts.models[this.model.value];
    return [wanted, model, model.contrasts.findIndex((c) => c.name === wanted.name)];
  },
  show() {
    const [wanted, model, at] = this.current();
    const rows = at < 0 ? [] : mixflow.results(Number(this.model.value), at);
    const text = this.search.value.trim().toLowerCase();
    const least = Number(this.size.value) || 0;
    const chosen = rows.filter((r) => (!this.hits.checked || r.hit) && !(least && !(Math.abs(r.estimate) >= least)) && (!text || mixflow.find(r.at).includes(text)));
    const filtered = chosen.length !== rows.length;
    const hits = rows.filter((r) => r.hit).length, tested = rows.filter((r) => Number.isFinite(r.log10_p)).length;
    const told = `${hits} of ${tested} tested features lie below ${mixflow.facts.alpha * 100} % false discovery rate`;
    document.getElementById("x-count").textContent = at < 0 ? `${model.title} does not test ${wanted.name}.` : `${wanted.text}: ${told}${filtered ? `; ${chosen.length} shown` : ""}.`;
    mixflow.volcano.show(rows, filtered ? new Set(chosen.map((r) => r.at)) : null, `Volcano plot of ${wanted.name}, ${model.title}: ${told}.`, model.scale);
    document.getElementById("x-size-label").textContent = `At least |${model.scale.ratio ? model.scale.estimate.toLowerCase() : "difference"}|`;
    mixflow.table.use(model.scale);
    mixflow.table.show(chosen);
    this.histogram();
  },
  /* The static histogram belongs to the headline model; it is borrowed from the page's own article. */
  histogram() {
    const place = document.getElementById("x-hist");
    if (place.firstChild) { place.home.append(place.firstChild); }
    const home = document.querySelector(`#static-results article[data-contrast="${this.contrast.value}"] .histogram`);
    if (this.model.value === "0" && home?.firstElementChild) { place.home = home; place.append(home.firstElementChild); }
  },
};

/* What a search looks in: name, id and annotation, in small letters. */
mixflow.find = function (at) {
  mixflow.cache.find ??= [];
  const f = mixflow.features;
  return (mixflow.cache.find[at] ??= [f.name[at], f.id[at], ...Object.values(f.extra).map((v) => v[at])].join(" ").toLowerCase());
};

/* The volcano on a canvas: hover, click, search and selection. */
mixflow.volcano = {
  canvas: null, rows: [], matched: null, selected: null, places: [], scaleOf: { axis: "" },

  start(onPick) {
    this.canvas = document.getElementById("x-volcano");
    this.tip = document.getElementById("x-tip");
    new ResizeObserver(() => this.draw()).observe(this.canvas.parentElement);
    document.addEventListener("mixflow-theme", () => this.draw());
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("click", (event) => { const row = this.nearest(event); if (row) onPick(row); });
  },
  show(rows, matched, label, scale) {
    this.scaleOf = scale;
    this.rows = rows.filter((r) => Number.isFinite(r.estimate) && Number.isFinite(r.log10_p));
    this.matched = matched;
    this.canvas.setAttribute("aria-label", label);
    this.draw();
  },
  scale() {
    const box = { left: 46, right: 12, top: 14, bottom: 38 };
    const width = this.canvas.parentElement.clientWidth, height = Math.min(460, Math.max(300, width * 0.8));
    let x = 0, y = 1;
    for (const r of this.rows) { x = Math.max(x, Math.abs(r.estimate)); y = Math.max(y, -r.log10_p); }
    x = (x || 1) * 1.12; y *= 1.1;
    return {
      width, height, box, x, y,
      px: (v) => box.left + ((v + x) / (2 * x)) * (width - box.left - box.right),
      py: (v) => height - box.bottom - (v / y) * (height - box.top - box.bottom),
    };
  },
  draw() {
    const s = this.scale(), ratio = window.devicePixelRatio || 1;
    if (!s.width) return;
    this.canvas.width = s.width * ratio; this.canvas.height = s.height * ratio;
    this.canvas.style.height = s.height + "px";
    const g = this.canvas.getContext("2d");
    g.scale(ratio, ratio);
    g.clearRect(0, 0, s.width, s.height);
    this.axes(g, s);
    const faded = this.matched !== null;
    this.places = this.rows.map((r) => [s.px(r.estimate), s.py(-r.log10_p)]);
    const order = this.rows.map((_, i) => i).sort((a, b) => this.rows[a].hit - this.rows[b].hit);
    for (const i of order) this.point(g, this.rows[i], this.places[i], faded && !this.matched.has(this.rows[i].at));
    this.labels(g, s);
  },
  axes(g, s) {
    g.strokeStyle = mixflow.colour("--line"); g.fillStyle = mixflow.colour("--soft"); g.lineWidth = 1;
    g.font = "12px system-ui, sans-serif"; g.textAlign = "center";
    for (const t of mixflow.ticks(-s.x, s.x, 6)) { const x = s.px(t); g.fillText(mixflow.tick(t), x, s.height - s.box.bottom + 16); }
    g.textAlign = "right";
    for (const t of mixflow.ticks(0, s.y, 5)) {
      const y = s.py(t);
      g.fillText(mixflow.tick(t), s.box.left - 7, y + 4);
      g.beginPath(); g.moveTo(s.box.left, y); g.lineTo(s.width - s.box.right, y); g.stroke();
    }
    g.strokeStyle = mixflow.colour("--grey");
    g.beginPath(); g.moveTo(s.px(0), s.box.top); g.lineTo(s.px(0), s.height - s.box.bottom); g.stroke();
    const edge = Math.min(...this.rows.filter((r) => r.hit).map((r) => -r.log10_p));
    if (Number.isFinite(edge)) {
      g.setLineDash([5, 4]); g.beginPath(); g.moveTo(s.box.left, s.py(edge)); g.lineTo(s.width - s.box.right, s.py(edge)); g.stroke(); g.setLineDash([]);
    }
    g.fillStyle = mixflow.colour("--ink"); g.textAlign = "center";
    g.fillText(this.scaleOf.axis, (s.box.left + s.width - s.box.right) / 2, s.height - 4);
    g.save(); g.translate(12, s.height / 2 - 10); g.rotate(-Math.PI / 2); g.fillText("−log10 p", 0, 0); g.restore();
  },
  point(g, row, [x, y], faded) {
    g.globalAlpha = faded ? 0.12 : row.hit ? 0.92 : 0.5;
    g.fillStyle = row.hit ? mixflow.colour(row.estimate > 0 ? "--up" : "--down") : mixflow.colour("--grey");
    if (row.hit) g.fill(new Path2D(mixflow.marker(row.estimate > 0 ? "up" : "down", x, y, 4.2)));
    else { g.beginPath(); g.arc(x, y, 2.6, 0, 7); g.fill(); }
    if (row.at === this.selected || (!faded && this.matched !== null && this.matched.size <= 50)) {
      g.globalAlpha = 1; g.strokeStyle = mixflow.colour("--ink"); g.lineWidth = 1.6; g.beginPath(); g.arc(x, y, 7, 0, 7); g.stroke();
    }
    g.globalAlpha = 1;
  },
  labels(g, s) {
    const few = this.matched !== null && this.matched.size <= 30;
    const wanted = this.rows.map((r, i) => [r, this.places[i]])
      .filter(([r]) => r.at === this.selected || (few ? this.matched.has(r.at) : r.hit))
      .sort((a, b) => a[0].log10_p - b[0].log10_p).slice(0, 22);
    const taken = wanted.map(([, [x, y]]) => [x - 4, y - 4, x + 4, y + 4]);
    g.font = "12px system-ui, sans-serif"; g.fillStyle = mixflow.colour("--ink"); g.textAlign = "left";
    wanted.forEach(([row, [x, y]], own) => {
      const name = row.name.length > 28 ? row.name.slice(0, 27) + "…" : row.name, w = g.measureText(name).width;
      for (const [left, top] of [[x + 7, y - 6], [x - 7 - w, y - 6], [x + 5, y - 18], [x - 5 - w, y - 18], [x + 5, y + 6], [x - 5 - w, y + 6]]) {
        const box = [left, top, left + w, top + 13];
        const free = taken.every((b, i) => i === own || box[2] < b[0] || box[0] > b[2] || box[3] < b[1] || box[1] > b[3]);
        if (free && box[0] > s.box.left && box[2] < s.width && box[1] > 0) { taken.push(box); g.fillText(name, left, top + 10.5); break; }
      }
    });
  },
  nearest(event) {
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, distance = 144;
    this.places.forEach(([px, py], i) => {
      const d = (px - x) ** 2 + (py - y) ** 2 - (this.rows[i].hit ? 9 : 0);
      if (d < distance) { distance = d; best = i; }
    });
    return best === null ? null : this.rows[best];
  },
  hover(event) {
    const row = this.nearest(event);
    this.tip.hidden = !row;
    this.canvas.style.cursor = row ? "pointer" : "default";
    if (!row) return;
    const [x, y] = this.places[this.rows.indexOf(row)];
    this.tip.textContent = `${row.name}${row.name === row.id ? "" : "  " + row.id}\n${mixflow.effect(row, this.scaleOf)}\np ${mixflow.p(row.log10_p)}   q ${mixflow.p(Math.log10(row.q_value))}`;
    const right = x > this.canvas.clientWidth / 2;
    this.tip.style.left = right ? "auto" : x + 14 + "px";
    this.tip.style.right = right ? this.canvas.clientWidth - x + 14 + "px" : "auto";
    this.tip.style.top = Math.max(0, y - 24) + "px";
  },
};

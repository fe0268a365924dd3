/* Little helpers for drawing: elements, ticks, markers. Colours: Okabe and Ito (2008). */
mixflow.colours = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
mixflow.onPage = (i) => ({ 0: "var(--down)", 5: "var(--up)" })[i % 6] || mixflow.colours[i % 6]; /* lighter on a dark page */
mixflow.shapes = ["circle", "square", "up", "diamond", "down", "plus"];
mixflow.element = function (tag, attrs = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "text", "title", "rect", "polyline"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (name === "class") node.setAttribute("class", value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
};
mixflow.ticks = function (low, high, wanted = 5) {
  const raw = (high - low) / wanted || 1;
  const base = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((f) => f * base).find((s) => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
};
/* Zero and the powers of ten between two numbers; below ten also their halves. */
mixflow.powers = function (least, high) {
  const found = [0];
  for (let k = Math.floor(Math.log10(least)); 10 ** k <= high; k++) for (const t of high / least < 30 ? [10 ** k, 2 * 10 ** k, 5 * 10 ** k] : [10 ** k]) if (t >= least * 0.999 && t <= high) found.push(Number(t.toPrecision(6)));
  return found;
};
mixflow.marker = function (shape, x, y, r) {
  const p = (...xs) => "M" + xs.map(([a, b]) => `${(x + a * r).toFixed(1)} ${(y + b * r).toFixed(1)}`).join("L") + "Z";
  if (shape === "square") return p([-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]);
  if (shape === "up") return p([0, -1.15], [1.05, 0.8], [-1.05, 0.8]);
  if (shape === "down") return p([0, 1.15], [1.05, -0.8], [-1.05, -0.8]);
  if (shape === "diamond") return p([0, -1.25], [1.1, 0], [0, 1.25], [-1.1, 0]);
  if (shape === "plus") return p([-0.4, -1.1], [0.4, -1.1], [0.4, -0.4], [1.1, -0.4], [1.1, 0.4], [0.4, 0.4], [0.4, 1.1], [-0.4, 1.1], [-0.4, 0.4], [-1.1, 0.4], [-1.1, -0.4], [-0.4, -0.4]);
  return `M${(x - r).toFixed(1)} ${y.toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
};
mixflow.jitter = (i) => (((i * 2654435761) >>> 0) / 4294967296 - 0.5); /* the same place each time */

/* 97.5 % quantile of t with df degrees of freedom: Hill (1970), CACM algorithm 396. */
mixflow.tQuantile = function (df) {
  if (!(df > 0)) return NaN;
  if (df > 1e7) return 1.959963985;
  if (Math.abs(df - 1) < 1e-6) return 12.7062047;
  if (Math.abs(df - 2) < 1e-6) return 4.30265273;
  const P = 0.05;
  const a = 1 / (df - 0.5), b = (48 / (a * a));
  let c = ((20700 * a / b - 98) * a - 16) * a + 96.36;
  const d = ((94.5 / (b + c) - 3) / b + 1) * Math.sqrt(a * Math.PI / 2) * df;
  let y = Math.pow(d * P, 2 / df);
  if (y > 0.05 + a) {
    const x = -1.959963985;
    y = x * x;
    if (df < 5) c += 0.3 * (df - 4.5) * (x + 0.6);
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c;
    y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
    y = Math.expm1(a * y * y);
  } else {
    y = ((1 / (((df + 6) / (df * y) - 0.089 * d - 0.822) * (df + 2) * 3) + 0.5 / (df + 4)) * y - 1) * (df + 1) / (df + 2) + 1 / y;
  }
  return Math.sqrt(df * y);
};

/* Benjamini-Hochberg from log10 p, within a contrast or across all contrasts of a model. */
mixflow.q = function (model, contrast) {
  const key = `q ${model}`;
  mixflow.cache[key] ??= {};
  if (mixflow.cache[key][contrast]) return mixflow.cache[key][contrast];
  const all = mixflow.facts.models[model].contrasts.map((_, i) => i);
  const joined = mixflow.facts.adjust === "across" ? all : [contrast];
  const parts = joined.map((i) => mixflow.array(`m${model}/c${i}/log10_p`));
  const tests = [];
  parts.forEach((part, k) => part.forEach((value, i) => { if (Number.isFinite(value)) tests.push([value, k, i]); }));
  tests.sort((a, b) => b[0] - a[0]);
  const out = parts.map((part) => new Float64Array(part.length).fill(NaN));
  let least = 1;
  tests.forEach(([value, k, i], rank) => {
    least = Math.min(least, Math.pow(10, value) * tests.length / (tests.length - rank));
    out[k][i] = least;
  });
  joined.forEach((i, k) => { mixflow.cache[key][i] = out[k]; });
  return mixflow.cache[key][contrast];
};

/* Significant digits for tables; `mixflow.tick` for axes, where zeros at the end say nothing. */
mixflow.tick = (value) => String(Number(value.toPrecision(6))).replace("-", "−");
mixflow.number = function (value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text = size !== 0 && (size >= 1e5 || size < 1e-3) ? value.toExponential(digits - 1) : size >= 10 ** digits ? value.toFixed(0) : value.toPrecision(digits);
  return text.replace(/-/g, "−");
};
mixflow.p = function (log10) {
  if (log10 === -Infinity) return "<1e−45"; /* below what 32 bits hold */
  if (!Number.isFinite(log10)) return "–";
  if (log10 > -3) return Math.pow(10, log10).toPrecision(2);
  const power = Math.floor(log10);
  let lead = Math.pow(10, log10 - power).toFixed(1);
  return lead === "10.0" ? `1.0e−${-power - 1}` : `${lead}e−${-power}`;
};

/* An estimate's interval, and the estimate with it, as a model's scale has them: ratios where exp means one. */
mixflow.interval = function (r, scale) {
  const ends = scale.ratio ? [r.ratio_low, r.ratio_high] : [r.conf_low, r.conf_high];
  return ends.some(Number.isNaN) ? "–" : `${mixflow.number(ends[0])} to ${mixflow.number(ends[1])}`;
};
mixflow.effect = (r, scale) => `${(scale.ratio || "difference").toLowerCase()} ${mixflow.number(scale.ratio ? r.ratio : r.estimate)} (${mixflow.interval(r, scale)})`;

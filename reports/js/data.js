"use strict";
/* The numbers of the page: base64 -> gzip -> arrays. mixflow.report.pack writes them. */
const mixflow = { facts: JSON.parse(document.getElementById("facts").textContent) };

mixflow.unpack = async function () {
  const element = document.getElementById("numbers");
  const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
  element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  mixflow.bytes = new Uint8Array(await new Response(stream).arrayBuffer());
};

/* Bytes of each kind lie together (all first bytes, then all second ...): back to numbers. */
mixflow.planes = function (bytes, width) {
  const n = bytes.length / width;
  const out = new Uint8Array(bytes.length);
  for (let b = 0; b < width; b++) for (let i = 0; i < n; i++) out[i * width + b] = bytes[b * n + i];
  return out.buffer;
};

mixflow.decode = {
  json: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
  f4: (bytes) => new Float32Array(mixflow.planes(bytes, 4)),
  u2: (bytes) => new Uint16Array(mixflow.planes(bytes, 2)),
  l2(bytes, { top, step }) {
    return Float64Array.from(new Uint16Array(mixflow.planes(bytes, 2)), (code) => {
      if (code === 65535) return NaN;
      const depth = code & 32767;
      return depth ? (code & 32768 ? -1 : 1) * Math.exp(top - (depth - 1) * step) : 0;
    });
  },
  r2(bytes, { rows, cols }) {
    const ends = new Float32Array(bytes.slice(0, rows * 8).buffer);
    const codes = new Uint16Array(mixflow.planes(bytes.slice(rows * 8), 2));
    return Float64Array.from(codes, (code, i) => {
      const row = Math.floor(i / cols);
      return code === 65535 ? NaN : ends[row] + (code / 65534) * ends[rows + row];
    });
  },
};

mixflow.cache = {};
mixflow.array = function (name) {
  const told = mixflow.facts.arrays[name];
  if (!told) return null;
  mixflow.cache[name] ??= mixflow.decode[told.kind](mixflow.bytes.slice(told.at, told.at + told.n), told);
  return mixflow.cache[name];
};

/* Results of a contrast of a model by position in the headline's features, made once. */
mixflow.results = function (model, contrast) {
  const key = `results ${model} ${contrast}`;
  if (mixflow.cache[key]) return mixflow.cache[key];
  const told = mixflow.facts.models[model];
  const of = (name) => mixflow.array(`m${model}/c${contrast}/${name}`);
  const status = of("status"), index = told.indexed ? mixflow.array(`m${model}/index`) : null;
  const n_obs = mixflow.array(`m${model}/n_obs`);
  const q = of("q_value") || mixflow.q(model, contrast);
  const rows = [];
  for (let i = 0; i < status.length; i++) {
    const at = index ? index[i] : i;
    if (at < 0) continue;
    const estimate = of("estimate")[i], error = of("std_error")[i], df = of("df")[i], log10_p = of("log10_p")[i];
    const half = mixflow.tQuantile(df) * error;
    rows.push({
      at, id: mixflow.features.id[at], name: mixflow.features.name[at], estimate, std_error: error, df, log10_p,
      conf_low: estimate - half, conf_high: estimate + half, statistic: estimate / error,
      ratio: Math.exp(estimate), ratio_low: Math.exp(estimate - half), ratio_high: Math.exp(estimate + half),
      p_value: Math.pow(10, log10_p), q_value: q[i], status: status[i] % 100, hit: status[i] >= 100, n_obs: n_obs[i],
    });
  }
  return (mixflow.cache[key] = rows);
};

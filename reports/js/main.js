/* Start: theme at once, then the numbers; without them the page stays as it was written. */
mixflow.open = function (at) {
  mixflow.one.show(at);
  const heading = document.getElementById("h-feature");
  heading.tabIndex = -1;
  heading.scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  heading.focus({ preventScroll: true });
};
mixflow.fromAddress = function () {
  const found = /^#feature=(.*)$/.exec(location.hash);
  const at = found ? mixflow.features.id.indexOf(decodeURIComponent(found[1])) : -1;
  if (at >= 0) mixflow.open(at);
};
mixflow.copy = function () {
  const button = document.getElementById("copy"), text = document.getElementById("methods-text");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(text);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    let done = false;
    try { await navigator.clipboard.writeText(text.innerText); done = true; } catch (error) { done = document.execCommand("copy"); }
    document.getElementById("copied").textContent = done ? "Copied." : "Selected: copy it with your keyboard.";
  });
};
mixflow.start = async function () {
  mixflow.theme();
  mixflow.navigation();
  mixflow.copy();
  if (typeof DecompressionStream === "undefined") return;
  await mixflow.unpack();
  mixflow.features = mixflow.array("features");
  const pick = (row) => { history.replaceState(null, "", "#feature=" + encodeURIComponent(row.id)); mixflow.open(row.at); };
  if (mixflow.facts.models[0].contrasts.length) mixflow.explorer.start(pick);
  mixflow.one.start();
  mixflow.analyses(pick);
  addEventListener("hashchange", mixflow.fromAddress);
  mixflow.fromAddress();
  document.documentElement.dataset.ready = "true";
};
mixflow.start();

/* Light, dark, or as the system has it; the choice is kept where the browser allows. */
mixflow.theme = function () {
  const root = document.documentElement, button = document.getElementById("theme");
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const tell = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`); };
  try { const kept = localStorage.getItem("mixflow-theme"); if (kept) root.dataset.theme = kept; } catch (error) { console.info("the theme is not kept: " + error.message); }
  button.hidden = false;
  tell();
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("mixflow-theme", root.dataset.theme); } catch (error) { console.info("the theme is not kept: " + error.message); }
    tell();
    document.dispatchEvent(new Event("mixflow-theme"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { tell(); document.dispatchEvent(new Event("mixflow-theme")); });
};
mixflow.colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

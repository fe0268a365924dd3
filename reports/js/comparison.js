/* The page of a comparison: theme, the section that is read, tables that are sorted by their headers. */
mixflow.sortable = function (table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells], body = table.tBodies[0];
  const value = (row, at) => {
    const cell = row.cells[at], number = cell.dataset.value;
    return number === undefined ? cell.textContent.trim() : number === "" ? NaN : Number(number);
  };
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending", sign = up ? 1 : -1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].map((row, i) => [value(row, at), i, row]);
      rows.sort(([a, i], [b, j]) => {
        if (typeof a === "string" || typeof b === "string") return sign * String(a).localeCompare(String(b), "en", { numeric: true }) || i - j;
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
        return sign * (a - b) || i - j;
      });
      body.replaceChildren(...rows.map(([, , row]) => row));
    });
  });
};
mixflow.theme();
mixflow.navigation();
document.querySelectorAll("table.sortable").forEach(mixflow.sortable);

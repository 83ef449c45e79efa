// The table of the trials: a click on a header, or Enter, sorts by its column.
"use strict";
(() => {
  const table = document.querySelector("#trials table");
  if (!table) return;
  const value = (row, column) => {
    const text = row.cells[column].textContent;
    const number = Number.parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : Number(a > b)) : typeof a === "number" ? -1 : 1);
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    header.setAttribute("aria-sort", "none");
    header.tabIndex = 0;
    const sort = () => {
      const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      for (const other of headers) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", direction);
      const sign = direction === "ascending" ? 1 : -1;
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => sign * compare(value(a, column), value(b, column)));
      table.tBodies[0].append(...rows);
    };
    header.addEventListener("click", sort);
    header.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  });
})();

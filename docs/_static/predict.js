// Questions of the book: the answer stays covered until the reader has typed one. Without this script it is a <details>.
for (const details of document.querySelectorAll("details.predict")) {
  const answer = document.createElement("div");
  answer.append(...[...details.childNodes].filter((node) => node.nodeName !== "SUMMARY"));
  answer.hidden = true;
  const form = document.createElement("form");
  form.innerHTML = '<label>Your answer <input required autocomplete="off"></label> <button>Compare</button>';
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const yours = document.createElement("p");
    yours.className = "yours";
    yours.textContent = `Your answer: ${form.querySelector("input").value}`;
    form.replaceWith(yours);
    answer.hidden = false;
  });
  details.append(form, answer);
  details.addEventListener("toggle", () => details.open && form.querySelector("input")?.focus());
}

// The theme leaves out what a screen reader and a keyboard need.
for (const wide of document.querySelectorAll("pre, .formula, .table-wrapper")) wide.tabIndex = 0; // it may scroll sideways
for (const head of document.querySelectorAll("th")) {
  if (!head.textContent.trim()) head.outerHTML = "<td></td>"; // a table without names of its columns
}
for (const caption of document.querySelectorAll(".caption[role=heading]")) caption.ariaLevel = "2";
document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Contents");
document.querySelector(".toc-drawer")?.setAttribute("aria-label", "On this page");
for (const list of document.querySelectorAll(".sig dl")) {
  list.outerHTML = list.outerHTML.replace(/<(\/?)d[ld]\b/g, "<$1div"); // arguments, one per line: no list of definitions
}

/* DOM helpers. */

/** Create an element: element("button", {type: "button", onclick: go}, "Go"). Text is never parsed as HTML. */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on") || name in node) node[name] = value;
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** The element with that id. */
export const byId = (id) => document.getElementById(id);

/** 0.9871 → "98.7 %" */
export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

/** A number in four significant digits, with a real minus sign. */
export const numeral = (value) => String(Number(value.toPrecision(4))).replaceAll("-", "−");

/** A text of at most that many characters. */
export const shortened = (text, most) => (text.length > most ? `${text.slice(0, Math.floor(most) - 1)}…` : text);

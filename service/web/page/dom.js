// Elements are built, never parsed: what a user or a model says is only ever the text of a node.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element.
 * @param attributes name → text; `true` for an attribute without a value, null or false for none; a function
 *   `onclick` becomes a listener; `style` is an object of CSS properties; `value`, `checked` and the like are set.
 * @param children nodes, texts and numbers, and lists of them; null and false are left out.
 */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** An SVG element, with the same arguments as `el`. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

/** Remove all that is in a node, and put the children there. */
export function clear(node, ...children) {
  node.replaceChildren(...flat(children));
  return node;
}

const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden", "indeterminate"]);

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "style") setStyle(node, value);
    else if (PROPERTIES.has(name) && name in node) node[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...flat(children));
  // A select takes its value only when its options are there.
  if (node.tagName === "SELECT" && attributes?.value !== undefined) node.value = attributes.value;
  return node;
}

function setStyle(node, properties) {
  // The attribute is closed by the page's policy; the properties are not.
  for (const [name, value] of Object.entries(properties)) node.style.setProperty(name, String(value));
}

function flat(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

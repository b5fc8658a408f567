// Makes elements. Text is always a text node: nothing here reads markup.

/**
 * Listeners by their events.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @typedef {{ [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name] & { currentTarget: HTMLElementTagNameMap[Tag] }) => void }} Listeners
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @typedef {Object} Options
 * @property {string} [class]
 * @property {string} [text]
 * @property {Record<string, string>} [attributes]
 * @property {Listeners<Tag>} [on]
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Options<Tag>} [options]
 * @param {(Node | null)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  if (options.class) element.className = options.class;
  if (options.text !== undefined) element.textContent = options.text;
  for (const [name, value] of Object.entries(options.attributes ?? {})) element.setAttribute(name, value);
  for (const [name, listener] of Object.entries(options.on ?? {})) element.addEventListener(name, /** @type {EventListener} */ (listener));
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * @param {string} text
 * @param {(event: MouseEvent) => void} click
 * @param {Record<string, string>} [attributes]
 */
export function button(text, click, attributes = {}) {
  return make("button", { text, attributes: { type: "button", ...attributes }, on: { click } });
}

/**
 * Put others in place of what a *host* has. The focus goes to what has the same `data-key`, where it
 * was in there: else keys would have to begin at the page's top.
 * @param {HTMLElement} host
 * @param {Node[]} children
 */
export function refill(host, ...children) {
  const { activeElement } = document;
  const key = host.contains(activeElement) ? activeElement?.getAttribute("data-key") : null;
  host.replaceChildren(...children);
  if (key) /** @type {HTMLElement | null} */ (host.querySelector(`[data-key="${CSS.escape(key)}"]`))?.focus();
}

/**
 * Copy a text; say whether that worked.
 * @param {string} text
 */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

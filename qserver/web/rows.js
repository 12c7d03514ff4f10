// Rows of reviews that are painted anew under people's hands: the focus stays on the row it was on.

import { paint } from "./dom.js";

export const focusRow = (id, root = document) => root.querySelector(`[data-review="${CSS.escape(id)}"] button`)?.focus();

export function paintRows(node, key, rows) {
  const row = document.activeElement?.closest("[data-review]");
  const held = node.contains(row) ? row?.dataset.review : "";
  if (paint(node, key, rows) && held) focusRow(held, node);
}

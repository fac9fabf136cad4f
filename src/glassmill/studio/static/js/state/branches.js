// A tree of tokens: what was written, and every branch that was left for another. A node is one token; the path to it is
// the text that the model has read.

/** @typedef {{id: number, text: string, parent: Node | null, children: Node[], logprob: number | null, given: boolean}} Node */

/** @param {number} id @param {string} text @param {Node | null} parent @param {number | null} logprob by the model's own distribution @param {boolean} [given] by the prompt @returns {Node} */
export function grown(id, text, parent, logprob, given = false) {
  const known = parent?.children.find((child) => child.id === id);
  if (known) return known;
  const node = { id, text, parent, children: [], logprob, given };
  parent?.children.push(node);
  return node;
}

/** The nodes from the root to `node`. @param {Node} node @returns {Node[]} */
export function pathTo(node) {
  const path = [node];
  while (path[0].parent) path.unshift(path[0].parent);
  return path;
}

/** Where the text that begins at `node` first forks, or ends: `along` has the tokens up to there. @param {Node} node @returns {{along: Node[], end: Node}} */
export function stretch(node) {
  const along = [node];
  while (along[along.length - 1].children.length === 1) along.push(along[along.length - 1].children[0]);
  return { along, end: along[along.length - 1] };
}

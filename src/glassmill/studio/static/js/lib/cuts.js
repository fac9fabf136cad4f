// From logits, or log-probabilities, to one token: temperature, top-k, top-p, min-p, and a draw, in the order and with the
// ties of `infer/sampling.py`. A test holds the two equal. The one-file page of `export` carries this file too.

/** @typedef {{temperature: number, topK: number, topP: number, minP: number}} Cuts 0 and 1 (`topP`) cut nothing. */
/** @typedef {{ids: number[], shares: number[]}} Kept ids ascending; their probabilities sum to 1. */

const COLDEST = 1e-6;

/** What survives the cuts. @param {ArrayLike<number>} logits @param {Cuts} cuts @returns {Kept} */
export function kept(logits, { temperature, topK, topP, minP }) {
  let largest = -Infinity;
  for (let i = 0; i < logits.length; i++) largest = Math.max(largest, logits[i]);
  const weight = (/** @type {number} */ id) => Math.exp((logits[id] - largest) / Math.max(temperature, COLDEST));
  const down = Array.from({ length: logits.length }, (_, id) => id);
  if (temperature === 0) {
    const first = down.find((id) => logits[id] === largest) ?? 0;
    return { ids: [first], shares: [1] };
  }
  const cut = (topK > 0 && topK < logits.length) || topP < 1;
  if (cut) down.sort((a, b) => logits[b] - logits[a] || a - b);
  let ids = topK > 0 && topK < logits.length ? down.slice(0, topK) : down;
  const all = ids.reduce((sum, id) => sum + weight(id), 0);
  let before = 0;
  ids = ids.filter((id, place) => {
    const stays = before < topP * all && weight(id) >= minP;
    before += topP < 1 ? weight(id) : 0;
    return stays || (cut && place === 0);
  });
  ids.sort((a, b) => a - b);
  const weights = ids.map(weight);
  const total = weights.reduce((sum, one) => sum + one, 0);
  return { ids, shares: weights.map((one) => one / total) };
}

/** The token at `uniform`, in [0, 1), of what survived, in the order of the ids. @param {Kept} survived @param {number} uniform */
export function drawn({ ids, shares }, uniform) {
  let sum = 0;
  const place = shares.findIndex((share) => (sum += share) > uniform);
  return ids[place < 0 ? shares.findLastIndex((share) => share > 0) : place];
}

/** A number in [0, 1) that nobody can foresee. */
export function chance() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return ((high >>> 5) * 67108864 + (low >>> 6)) / 9007199254740992;
}

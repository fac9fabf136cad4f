// A smooth line through a noisy curve: at every point, the straight line that fits the points around it best (local
// linear regression with tricube weights, Cleveland 1979). It does not lag behind, and follows the fall at the start.

const WINDOW = 1 / 10; // of the whole, to each side, on a scale of square roots: early steps change the loss faster
const NEIGHBOURS = 9;

/**
 * `values` without their noise; null where they are null.
 * @param {number[]} steps rising @param {(number | null)[]} values @returns {(number | null)[]}
 */
export function smooth(steps, values) {
  const points = values.flatMap((value, i) => (value == null ? [] : [{ step: steps[i], place: Math.sqrt(steps[i]), value }]));
  const half = ((points.at(-1)?.place ?? 0) - (points[0]?.place ?? 0)) * WINDOW;
  let at = -1;
  return values.map((value) => (value == null ? null : fitted(points, ++at, half)));
}

/** The height at point `at` of the line through its surroundings. @param {{step: number, place: number, value: number}[]} points @param {number} at @param {number} half */
function fitted(points, at, half) {
  let [first, last] = [at, at];
  const { step, place } = points[at];
  while (last - first + 1 < points.length) {
    const left = first > 0 ? place - points[first - 1].place : Infinity;
    const right = last < points.length - 1 ? points[last + 1].place - place : Infinity;
    if (Math.min(left, right) > half && last - first + 1 >= NEIGHBOURS) break;
    if (left <= right) first -= 1;
    else last += 1;
  }
  const reach = Math.max(half, place - points[first].place, points[last].place - place) * 1.001 || 1;
  let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
  for (const point of points.slice(first, last + 1)) {
    const x = point.step - step;
    const weight = (1 - Math.abs((point.place - place) / reach) ** 3) ** 3;
    w += weight;
    wx += weight * x;
    wy += weight * point.value;
    wxx += weight * x * x;
    wxy += weight * x * point.value;
  }
  const spread = w * wxx - wx * wx;
  return spread <= 1e-9 * wxx * w ? wy / w : (wy * wxx - wx * wxy) / spread;
}

// The Transformer, one token at a time: the twin of `model/transformer.py` in plain JavaScript. Weights and what is kept
// have float32, sums float64. Shapes: D width of the residual stream, N heads, K kv heads, H channels a head, F
// feed-forward, V vocabulary, L layers.

/**
 * `frequencies`: radians a position turns each pair of channels, H/2 of them, with any stretching done; `scale` is YaRN's.
 * @typedef {{vocab_size: number, d_model: number, num_layers: number, num_heads: number, num_kv_heads: number, head_dim: number,
 *   d_ff: number, context_length: number, rms_norm_eps: number, frequencies: number[], scale: number}} Config
 * @typedef {{id: number, share: number}} Guess
 * @typedef {{attention: number[][][], lens: Guess[][], norms: number[], added: {attention: number, mlp: number}[]}} Inside
 */

/** @param {Float32Array} out @param {Float32Array} matrix `(rows, columns)` @param {Float32Array} x */
function product(out, matrix, x) {
  const columns = x.length;
  for (let row = 0, at = 0; row < out.length; row++, at += columns) {
    let [a, b, c, d, i] = [0, 0, 0, 0, 0];
    for (; i + 3 < columns; i += 4) {
      a += matrix[at + i] * x[i];
      b += matrix[at + i + 1] * x[i + 1];
      c += matrix[at + i + 2] * x[i + 2];
      d += matrix[at + i + 3] * x[i + 3];
    }
    for (; i < columns; i++) a += matrix[at + i] * x[i];
    out[row] = a + b + (c + d);
  }
}

/** Divide by the root mean square, `length` numbers from `start` on, and scale every channel.
 * @param {Float32Array} out @param {Float32Array} x @param {Float32Array} weight @param {number} eps @param {number} start */
function normalise(out, x, weight, eps, start = 0) {
  let sum = 0;
  for (let i = 0; i < weight.length; i++) sum += x[start + i] * x[start + i];
  const factor = 1 / Math.sqrt(sum / weight.length + eps);
  for (let i = 0; i < weight.length; i++) out[start + i] = weight[i] * Math.fround(x[start + i] * factor);
}

/** @param {Float32Array} x */
function length(x) {
  return Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
}

export class Network {
  /** @param {Config} config @param {Map<string, Float32Array>} tensors */
  constructor(config, tensors) {
    this.config = config;
    const { d_model: D, num_heads: N, num_kv_heads: K, head_dim: H, d_ff: F, vocab_size: V, context_length: S } = config;
    const get = (/** @type {string} */ name) => /** @type {Float32Array} */ (tensors.get(name));
    this.embedding = get("model.embed_tokens.weight");
    this.head = tensors.get("lm_head.weight") ?? this.embedding;
    this.norm = get("model.norm.weight");
    this.layers = Array.from({ length: config.num_layers }, (_, number) => {
      const of = (/** @type {string} */ name) => get(`model.layers.${number}.${name}`);
      const attention = Object.fromEntries(["q", "k", "v", "o"].map((one) => [one, of(`self_attn.${one}_proj.weight`)]));
      return {
        attention,
        biases: ["q", "k", "v"].map((one) => of(`self_attn.${one}_proj.bias`)),
        queryNorm: of("self_attn.q_norm.weight"),
        keyNorm: of("self_attn.k_norm.weight"),
        before: of("input_layernorm.weight"),
        between: of("post_attention_layernorm.weight"),
        gate: of("mlp.gate_proj.weight"),
        up: of("mlp.up_proj.weight"),
        down: of("mlp.down_proj.weight"),
        keys: new Float32Array(S * K * H),
        values: new Float32Array(S * K * H),
      };
    });
    const room = (/** @type {number} */ size) => new Float32Array(size);
    this.x = room(D);
    this.normed = room(D);
    this.added = room(D);
    this.q = room(N * H);
    this.k = room(K * H);
    this.v = room(K * H);
    this.mixed = room(N * H);
    this.gated = room(F);
    this.upped = room(F);
    this.logits = room(V);
    this.scores = new Float64Array(S);
  }

  /**
   * Read one token at its position; those before it have been read. `logits` has what comes next, if asked for.
   * @param {number} token @param {number} position @param {boolean} speaks @param {Inside | null} [inside] filled, if given
   */
  read(token, position, speaks, inside = null) {
    const { d_model: D, rms_norm_eps: eps } = this.config;
    const { x, normed, added } = this;
    x.set(this.embedding.subarray(token * D, (token + 1) * D));
    if (inside) this.look(inside);
    for (const layer of this.layers) {
      normalise(normed, x, layer.before, eps);
      const weights = this.attend(layer, position, inside !== null);
      product(added, layer.attention.o, this.mixed);
      const attention = inside && length(added);
      for (let i = 0; i < D; i++) x[i] += added[i];
      normalise(normed, x, layer.between, eps);
      product(this.gated, layer.gate, normed);
      product(this.upped, layer.up, normed);
      for (let i = 0; i < this.gated.length; i++) {
        const value = this.gated[i];
        this.gated[i] = (value / (1 + Math.exp(-value))) * this.upped[i];
      }
      product(added, layer.down, this.gated);
      for (let i = 0; i < D; i++) x[i] += added[i];
      if (inside) {
        inside.attention.push(weights);
        inside.added.push({ attention: attention ?? 0, mlp: length(added) });
        this.look(inside);
      }
    }
    if (speaks) this.speak();
  }

  /** Logits of the residual stream as it is. */
  speak() {
    normalise(this.normed, this.x, this.norm, this.config.rms_norm_eps);
    product(this.logits, this.head, this.normed);
  }

  /** What the model would say if it ended here, and how long the stream's vector is. @param {Inside} inside */
  look(inside) {
    this.speak();
    inside.lens.push(likeliest(this.logits, 5));
    inside.norms.push(length(this.x));
  }

  /** Into `mixed`, the values of this position and those before it. @param {any} layer @param {number} position @param {boolean} keep
   * @returns {number[][]} the weights of every head, if they are kept */
  attend(layer, position, keep) {
    const { num_heads: N, num_kv_heads: K, head_dim: H, rms_norm_eps: eps } = this.config;
    const { q, k, v, mixed, scores } = this;
    [q, k, v].forEach((out, i) => {
      product(out, layer.attention["qkv"[i]], this.normed);
      const bias = layer.biases[i];
      if (bias) for (let j = 0; j < out.length; j++) out[j] += bias[j];
    });
    for (let n = 0; n < N; n++) this.place(q, n * H, layer.queryNorm, eps, position);
    for (let n = 0; n < K; n++) this.place(k, n * H, layer.keyNorm, eps, position);
    layer.keys.set(k, position * K * H);
    layer.values.set(v, position * K * H);
    const kept = [];
    mixed.fill(0);
    for (let n = 0; n < N; n++) {
      const offset = Math.floor(n / (N / K)) * H;
      let largest = -Infinity;
      for (let s = 0; s <= position; s++) {
        let sum = 0;
        for (let i = 0, at = s * K * H + offset; i < H; i++) sum += q[n * H + i] * layer.keys[at + i];
        scores[s] = sum / Math.sqrt(H);
        if (scores[s] > largest) largest = scores[s];
      }
      let total = 0;
      for (let s = 0; s <= position; s++) total += scores[s] = Math.exp(scores[s] - largest);
      for (let s = 0; s <= position; s++) {
        const weight = (scores[s] /= total);
        for (let i = 0, at = s * K * H + offset; i < H; i++) mixed[n * H + i] += weight * layer.values[at + i];
      }
      if (keep) kept.push(Array.from(scores.subarray(0, position + 1)));
    }
    return kept;
  }

  /** Normalise one head, if the model does, and turn its pairs (i, i + H/2) by the position's angles.
   * @param {Float32Array} x @param {number} start @param {Float32Array | undefined} weight @param {number} eps @param {number} position */
  place(x, start, weight, eps, position) {
    if (weight) normalise(x, x, weight, eps, start);
    const { frequencies, scale } = this.config;
    const half = frequencies.length;
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * frequencies[i]);
      const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
      const [a, b] = [x[start + i], x[start + i + half]];
      x[start + i] = a * cos - b * sin;
      x[start + i + half] = b * cos + a * sin;
    }
  }

  /** Everything about one position that has been read before. @param {number} token @param {number} position @returns {Inside} */
  inside(token, position) {
    /** @type {Inside} */
    const inside = { attention: [], lens: [], norms: [], added: [] };
    this.read(token, position, true, inside);
    return inside;
  }
}

/** The first of the largest. @param {Float32Array} values */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The likeliest tokens with their probabilities. @param {Float32Array} logits @param {number} count @returns {Guess[]} */
export function likeliest(logits, count) {
  /** @type {number[]} */
  const best = [];
  const largest = logits[argmax(logits)];
  let total = 0;
  for (let id = 0; id < logits.length; id++) {
    total += Math.exp(logits[id] - largest);
    if (best.length === count && logits[id] <= logits[best[count - 1]]) continue;
    let place = best.length;
    while (place > 0 && logits[id] > logits[best[place - 1]]) place--;
    best.splice(place, 0, id);
    if (best.length > count) best.pop();
  }
  return best.map((id) => ({ id, share: Math.exp(logits[id] - largest) / total }));
}

/** The probability of a token. @param {Float32Array} logits @param {number} id */
export function shareOf(logits, id) {
  const largest = logits[argmax(logits)];
  return Math.exp(logits[id] - largest) / logits.reduce((sum, one) => sum + Math.exp(one - largest), 0);
}
